//! The rest of a LiteLLM configuration: names for groups of models, and the settings that are done otherwise here, each
//! with what stands in its place.

use serde_json::{Map, Value};

use super::carried::{Carried, fallbacks};

/// What needs nothing here.
const BY_ITSELF: [&str; 6] = [
    "drop_params",
    "modify_params",
    "num_retries",
    "set_verbose",
    "json_logs",
    "routing_strategy",
];

/// Carries names over, and names what has no place here.
pub fn name_what_is_left(tree: &Value, carried: &mut Carried) {
    for section in ["litellm_settings", "router_settings", "general_settings"] {
        for (name, value) in fields(&tree[section]) {
            match name.as_str() {
                "model_group_alias" => name_groups(value, carried),
                "fallbacks" | "default_fallbacks" | "context_window_fallbacks" | "content_policy_fallbacks" => {
                    name_fallbacks(&format!("{section}.{name}"), value, carried);
                }
                known if BY_ITSELF.contains(&known) => {}
                other => carried.leave(format!("{section}.{other}"), why_not(other)),
            }
        }
    }
    for (name, _) in fields(&tree["environment_variables"]) {
        carried.leave(
            format!("environment_variables.{name}"),
            "set it where the server is started",
        );
    }
    for section in [
        "include",
        "guardrails",
        "vector_store_registry",
        "mcp_servers",
        "callback_settings",
    ] {
        if !tree[section].is_null() {
            carried.leave(section, why_not(section));
        }
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn name_groups(value: &Value, carried: &mut Carried) {
    for (alias, group) in fields(value) {
        let group = group.as_str().or(group["model"].as_str()).unwrap_or_default();
        if !carried.name_as(alias, group) {
            carried.leave(
                format!("model_group_alias.{alias}"),
                format!("there is no model {group}"),
            );
        }
    }
}

/// A list of `{model: [others]}`, or of models.
fn name_fallbacks(place: &str, value: &Value, carried: &mut Carried) {
    for item in value.as_array().into_iter().flatten() {
        if let Some(model) = item.as_str() {
            let header = fallbacks(std::iter::once(model));
            carried.leave(place, format!("callers say it: {header}"));
        }
        for (model, others) in fields(item) {
            let others = others.as_array().into_iter().flatten().filter_map(Value::as_str);
            let header = fallbacks(others);
            carried.leave(format!("{place} of {model}"), format!("callers say it: {header}"));
        }
    }
}

fn why_not(name: &str) -> &'static str {
    match name {
        "master_key" => "`caldera keys create --secret` makes a key that manages",
        "database_url" => "Caldera needs a database of its own: DATABASE_URL, or none for a private one",
        "cache" | "cache_params" => "answers are not cached here; providers' own prompt caches are billed as such",
        "callbacks" | "success_callback" | "failure_callback" | "callback_settings" => {
            "see /metrics, `caldera requests --follow` and webhooks"
        }
        "request_timeout" | "timeout" | "stream_timeout" => "see the timeouts under [gateway]",
        "allowed_fails" | "cooldown_time" => "see gateway.breaker_failures and gateway.breaker_open_ms",
        "max_budget" | "budget_duration" => "limits belong to keys here: --spend-limit, --cycle",
        "max_parallel_requests" | "global_max_parallel_requests" => "see gateway.in_flight_limit and --max-parallel",
        "redis_host" | "redis_port" | "redis_password" | "redis_url" => "one process serves here and needs no Redis",
        "alerting" | "alerting_threshold" => "webhooks tell of limits that are reached",
        "guardrails" => "calls are not looked into here",
        "mcp_servers" => "tools are called by your own programs",
        "include" => "import the other files one by one, or put them into one",
        _ => "it has no counterpart here",
    }
}
