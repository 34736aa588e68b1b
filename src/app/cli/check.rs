//! `caldera check`: whether `serve` would start with this configuration on this machine, without starting it. It reads
//! what the start reads and changes nothing; of credentials it says whether they are there and never what they are.

mod machine;

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::app::catalogues::load_catalogue;
use crate::app::checkout;
use crate::app::config::Config;
use crate::app::environment::Environment;
use crate::app::serving;
use crate::gateway::egress::read_places;
use crate::gateway::provider::{Catalogue, Demo};
use crate::storage::migrations::{self, SchemaState};

use super::PlaceArguments;
use super::failure::Failure;
use super::finding::{Finding, report};
use super::output::Output;

/// The oldest PostgreSQL, as its `server_version_num` has it.
const OLDEST_POSTGRES: i32 = 140_000;

/// Looks at everything.
pub fn run(place: &PlaceArguments, output: Output) -> Result<ExitCode, Failure> {
    let config = match Config::load(place.config.as_deref(), &Environment::of_process()) {
        Ok(config) => config,
        Err(error) => {
            let advice = "config/default.toml lists every option with its default";
            return report(
                &[Finding::fail("configuration", error.to_string()).advise(advice)],
                output,
            );
        }
    };
    let mut findings = vec![configuration(place)];
    findings.extend(files(&config));
    findings.push(database(&config));
    findings.extend(machine::look(&config));
    report(&findings, output)
}

fn configuration(place: &PlaceArguments) -> Finding {
    let named = std::env::var_os("CALDERA_CONFIG").filter(|name| !name.is_empty());
    let file = place.config.clone().or(named.map(Into::into));
    Finding::ok(
        "configuration",
        match file {
            Some(path) => format!("{} and the environment", path.display()),
            None => "the defaults and the environment".to_owned(),
        },
    )
}

/// What stands in files and in the environment.
fn files(config: &Config) -> Vec<Finding> {
    let mut findings = vec![prices(config)];
    match load_catalogue(config, &Environment::of_process(), Demo::Off) {
        Err(error) => findings.push(Finding::fail("providers", error.to_string())),
        Ok(catalogue) => {
            let count = catalogue.providers().len();
            findings.push(Finding::ok("providers", format!("{count} in the catalogue")));
            findings.push(credentials(&catalogue));
        }
    }
    if let Err(error) = serving::trust(config) {
        findings.push(Finding::fail("certificates", error.to_string()));
    }
    if let Err(error) = read_places(&config.webhooks.allow_private_hosts) {
        findings.push(Finding::fail(
            "webhooks",
            format!("webhooks.allow_private_hosts {error}"),
        ));
    }
    findings.push(payments(config));
    findings
}

fn prices(config: &Config) -> Finding {
    match serving::load_prices(config) {
        Err(error) => Finding::fail("price book", error.to_string()),
        Ok(prices) => {
            let (book, warnings) = (prices.book(), prices.warnings());
            let says = format!("{} models, version {}", book.models().count(), book.version());
            let own = !config.files.more_prices.as_os_str().is_empty();
            Finding::ok(
                "price book",
                if own {
                    format!("{says}, your own among them")
                } else {
                    says
                },
            )
            .with(json!({ "warnings": warnings }))
        }
    }
}

fn credentials(catalogue: &Catalogue) -> Finding {
    let (mut there, mut all) = (Vec::new(), Vec::new());
    for provider in catalogue.providers() {
        if provider.has_credential() {
            there.push(provider.name.to_string());
        }
        all.push(json!({
            "name": &*provider.name,
            "credential": provider.has_credential(),
            "variable": provider.key_variable,
        }));
    }
    let details = json!({ "providers": all });
    if there.is_empty() {
        let advice = "set a provider's variable, such as OPENAI_API_KEY, or try it with `caldera serve --demo`";
        return Finding::warn("credentials", "no provider has one")
            .advise(advice)
            .with(details);
    }
    let missing = all.len() - there.len();
    let says = format!(
        "{}; none for {missing} others (--json names the variables)",
        there.join(", ")
    );
    Finding::ok("credentials", says).with(details)
}

/// Opens the checkout as the start does, and lets it go; nobody is asked anything.
fn payments(config: &Config) -> Finding {
    // TLS picks this up; a second one changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    let environment = Environment::of_process();
    // Refused certificates are a finding of their own.
    let Ok(trust) = serving::trust(config) else {
        return Finding::warn("payments", "not looked at, because the certificates are refused");
    };
    let opened = async { checkout::open(&config.checkout, &trust, &environment).map(drop) };
    if let Err(error) = actix_rt::System::new().block_on(opened) {
        return Finding::fail("payments", error);
    }
    let is_set = |name: &str| environment.secret(name).is_ok_and(|found| found.is_some());
    match (is_set("STRIPE_SECRET_KEY"), is_set("STRIPE_WEBHOOK_SECRET")) {
        (false, _) => Finding::ok("payments", "test merchants only; STRIPE_SECRET_KEY is not set"),
        (true, false) => Finding::warn("payments", "STRIPE_WEBHOOK_SECRET is not set")
            .advise("without it payments that end later are only found by asking Stripe"),
        (true, true) => Finding::ok("payments", "Stripe's keys are set"),
    }
}

fn database(config: &Config) -> Finding {
    if config.database.url.is_empty() {
        return machine::private_postgres(config);
    }
    match migrations::inspect(&config.database.url) {
        Err(error) => Finding::fail("database", error.to_string())
            .advise("see that PostgreSQL runs and that DATABASE_URL names it with its user and password"),
        Ok(state) => schema(&state),
    }
}

fn schema(state: &SchemaState) -> Finding {
    let (major, details) = (state.server_version / 10_000, as_json(state));
    let finding = if state.server_version < OLDEST_POSTGRES {
        Finding::fail("database", format!("PostgreSQL {major} is too old")).advise("14 or newer is needed")
    } else if let Some(newest) = state.unknown.last() {
        Finding::fail(
            "database",
            format!("it has migration {newest}, which this version does not know"),
        )
        .advise("a newer Caldera was here: start that one, or restore the backup from before it")
    } else if state.pending.is_empty() {
        let count = state.applied.len();
        Finding::ok(
            "database",
            format!("PostgreSQL {major}, schema up to date ({count} migrations)"),
        )
    } else {
        let says = format!("PostgreSQL {major}, {} migrations to run", state.pending.len());
        Finding::warn("database", says).advise("`caldera serve` runs them at its start, `caldera migrate` before it")
    };
    finding.with(details)
}

fn as_json(state: &SchemaState) -> Value {
    json!({
        "server_version": state.server_version,
        "applied": state.applied.len(),
        "pending": state.pending,
        "unknown": state.unknown,
    })
}
