//! The configuration as files and variables set it.

use super::*;

fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("caldera.toml");
    std::fs::write(&path, file).unwrap();
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(
        Some(&path),
        &[("HOME".to_owned(), "/home/someone".to_owned())]
            .into_iter()
            .chain(variables)
            .collect(),
    )
}

#[test]
fn the_shipped_file_is_the_default() {
    let shipped: Config = Layers::of_defaults(DEFAULTS).unwrap().into_options().unwrap();
    let default = Config::default();
    assert_eq!(shipped.server, default.server);
    assert_eq!(shipped.operator, default.operator);
    assert_eq!(shipped.data, default.data);
    assert_eq!(shipped.database, default.database);
    assert_eq!(shipped.journal, default.journal);
    assert_eq!(shipped.billing, default.billing);
    assert_eq!(shipped.spend_keys, default.spend_keys);
    assert_eq!(shipped.gateway, default.gateway);
    assert_eq!(shipped.management, default.management);
    assert_eq!(shipped.webhooks, default.webhooks);
    assert_eq!(shipped.retention, default.retention);
    assert_eq!(shipped.checkout, default.checkout);
    assert_eq!(shipped.mcp, default.mcp);
    assert_eq!(shipped.files, default.files);
    assert_eq!(shipped.log, default.log);
    assert_eq!(shipped.secrets, default.secrets);
}

#[test]
fn every_option_has_one_comment_above_it() {
    let mut above = "";
    for line in DEFAULTS.lines() {
        if line.contains('=') && !line.starts_with('#') {
            assert!(above.starts_with("# "), "no comment above `{line}`");
        }
        above = line;
    }
}

#[test]
fn the_comment_of_an_option_says_whether_a_reload_takes_it() {
    let (mut section, mut above) = ("", "");
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((name, _)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            let option = format!("{section}.{name}");
            let is_reloaded = renewal::AT_RELOAD.contains(&option.as_str());
            assert_eq!(above.ends_with(". (SIGHUP)"), is_reloaded, "{option}");
        }
        above = line;
    }
    let options: Vec<String> = Layers::of_defaults(DEFAULTS)
        .unwrap()
        .iter()
        .map(|(option, _)| option.to_owned())
        .collect();
    for option in renewal::AT_RELOAD {
        assert!(options.iter().any(|known| known == option), "{option}");
    }
}

#[test]
fn a_newer_configuration_is_taken_as_far_as_a_running_process_can() {
    let old = load(
        "[server]\nport = 1111\n[gateway]\nin_flight_limit = 5\n",
        &[("CALDERA_BOOTSTRAP_SECRET_KEY", "kept")],
    )
    .unwrap();
    let newer = "[server]\nport = 2222\nkeep_alive_s = 9\n[log]\nfilter = \"debug\"\n[gateway]\nin_flight_limit = 6\n";
    let (renewed, waiting) = old.renewed(load(newer, &[]).unwrap()).unwrap();
    assert_eq!(waiting, ["server.keep_alive_s", "server.port"]);
    assert_eq!(old.changed_options(&renewed), ["gateway.in_flight_limit", "log.filter"]);
    assert_eq!((renewed.server.port, renewed.server.keep_alive_s), (1111, 75));
    assert_eq!(
        (renewed.gateway.in_flight_limit, renewed.log.filter.as_str()),
        (6, "debug")
    );
    assert_eq!((&renewed.data, &renewed.file), (&old.data, &old.file));
    // What waits is named again.
    let (again, waiting) = renewed.renewed(load(newer, &[]).unwrap()).unwrap();
    assert_eq!(waiting.len(), 2);
    assert!(renewed.changed_options(&again).is_empty());
    assert!(!format!("{renewed:?}").contains("kept"));
}

#[test]
fn a_secret_of_a_file_is_as_one_of_a_variable_and_never_both() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("url");
    std::fs::write(&path, "postgres://caldera:hunter2@somewhere/caldera\n").unwrap();
    let path = path.to_str().unwrap();
    let config = load(
        "",
        &[("DATABASE_URL_FILE", path), ("CALDERA_BOOTSTRAP_SECRET_KEY_FILE", path)],
    )
    .unwrap();
    assert_eq!(config.database.url, "postgres://caldera:hunter2@somewhere/caldera");
    assert_eq!(config.bootstrap_secret_key.unwrap().expose(), &config.database.url);
    for (variables, expected) in [
        (
            [("DATABASE_URL_FILE", path), ("DATABASE_URL", "postgres://a/b")],
            "DATABASE_URL and DATABASE_URL_FILE",
        ),
        (
            [("DATABASE_URL_FILE", "/nowhere"), ("HOST", "")],
            "DATABASE_URL_FILE: cannot read /nowhere",
        ),
        (
            [("CALDERA_BOOTSTRAP_SECRET_KEY_FILE", "/nowhere"), ("HOST", "")],
            "CALDERA_BOOTSTRAP_SECRET_KEY_FILE: cannot read",
        ),
    ] {
        let message = load("", &variables).unwrap_err().to_string();
        assert!(message.contains(expected) && !message.contains("hunter2"), "{message}");
    }
}

#[test]
fn every_number_has_a_range() {
    for (option, value) in Layers::of_defaults(DEFAULTS).unwrap().iter() {
        let has_range = ranges::NUMBERS.iter().any(|(name, _, _)| *name == option);
        assert_eq!(value.is_integer(), has_range, "{option}");
    }
}

#[test]
fn the_environment_stands_over_the_file_and_the_file_over_the_defaults() {
    let file = "[server]\nport = 1111\nhost = \"0.0.0.0\"\n[journal]\ndurability = \"fsync\"\n";
    let config = load(
        file,
        &[
            ("PORT", "2222"),
            ("DATABASE_URL", "postgres://somewhere/caldera"),
            ("CALDERA_DATA_DIR", "/data"),
            ("RUST_LOG", "caldera=debug,info"),
            ("CALDERA__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1"),
            ("CALDERA__SPEND_KEYS__SLICE_TOKENS", "99"),
            ("CALDERA_BOOTSTRAP_SECRET_KEY", "aks_live_secret"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.port, 2222);
    assert_eq!(config.server.host, "0.0.0.0");
    assert_eq!(config.server.workers, 0);
    assert_eq!(config.journal.durability, crate::engine::options::Durability::Fsync);
    assert_eq!(config.database.url, "postgres://somewhere/caldera");
    assert_eq!(config.data.dir, Path::new("/data"));
    assert_eq!(config.log.filter, "caldera=debug,info");
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.spend_keys.slice_tokens, 99);
    assert!(!format!("{config:?}").contains("aks_live_secret"));
    assert_eq!(config.bootstrap_secret_key.unwrap().expose(), "aks_live_secret");
}

#[test]
fn an_empty_variable_is_as_none_and_a_general_one_wins_over_a_short_one() {
    let config = load(
        "",
        &[("PORT", ""), ("HOST", "::1"), ("CALDERA__SERVER__HOST", "localhost")],
    )
    .unwrap();
    assert_eq!(config.server.port, 8787);
    assert_eq!(config.server.host, "localhost");
}

#[test]
fn a_password_in_the_database_address_is_not_printed() {
    let config = load("", &[("DATABASE_URL", "postgres://caldera:hunter2@somewhere/caldera")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn variables_of_others_are_left_alone() {
    load(
        "",
        &[
            ("CALDERA_PORT", "tcp://10.0.0.1:8787"),
            ("OPENAI_API_KEY", "x"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
}

#[test]
fn a_broken_file_is_refused_by_option_and_line() {
    for (file, expected) in BROKEN_FILES {
        let message = load(file, &[]).expect_err(file).to_string();
        assert!(
            message.contains(expected),
            "{file:?} gave `{message}`, not `{expected}`"
        );
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_broken_variable_is_refused_by_option_and_name() {
    for (name, value, expected) in BROKEN_VARIABLES {
        let message = load("", &[(name, value)]).expect_err(name).to_string();
        assert!(
            message.contains(expected),
            "{name}={value} gave `{message}`, not `{expected}`"
        );
        assert!(message.contains(name), "`{message}` does not name {name}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let message = Config::load(Some(Path::new("/nowhere/caldera.toml")), &Environment::default())
        .unwrap_err()
        .to_string();
    assert!(message.contains("/nowhere/caldera.toml"), "{message}");
}

const BROKEN_FILES: &[(&str, &str)] = &[
    ("[server]\nprot = 1\n", "unknown option `server.prot` in "),
    ("[server]\nprot = 1\n", "line 2"),
    ("[sever]\nworkers = 1\n", "(there is `server.workers`)"),
    ("[sever]\n", "unknown option `sever`"),
    ("port = 1\n", "unknown option `port`"),
    ("[server]\nport = \"8787\"\n", "option `server.port` in "),
    ("[server]\nport = 8787.5\n", "must be a whole number"),
    ("[server]\nport = 65536\n", "must be from 0 to 65535, not 65536"),
    ("\n\n[server]\n\nport = -1\n", "line 5"),
    ("[server]\nhost = \"\"\n", "must be an address or a host name"),
    ("[server]\nhost = 1\n", "must be a text"),
    ("[server]\nhost = \"a b\"\n", "not `a b`"),
    (
        "[server]\ntrusted_proxies = \"10.0.0.0/8\"\n",
        "must be a list of texts",
    ),
    ("[server]\ntrusted_proxies = [1]\n", "must be a list of texts"),
    ("[server]\ntrusted_proxies = [\"10.0.0.0/99\"]\n", "10.0.0.0/99"),
    ("[server]\nkeep_alive_s = 0\n", "server.keep_alive_s"),
    ("[operator]\nport = 8787\n", "must differ from `server.port`"),
    ("[database]\npool_size = 0\n", "must be from 1 to 1000"),
    ("[database]\nurl = \"mysql://localhost\"\n", "PostgreSQL address"),
    (
        "[journal]\ndurability = \"none\"\n",
        "must be one of os, fsync, not `none`",
    ),
    ("[journal]\nshed_at_percent = 100\n", "journal.shed_at_percent"),
    ("[journal]\nmax_size_mb = 32\n", "four times `journal.segment_size_mb`"),
    ("[billing]\nbatch_rows = 0\n", "billing.batch_rows"),
    ("[spend_keys]\nslice_tokens = true\n", "must be a whole number"),
    ("[gateway]\nbody_limit_bytes = 1\n", "gateway.body_limit_bytes"),
    (
        "[gateway]\ndefault_input_price = \"1\"\n",
        "needs `gateway.default_output_price`",
    ),
    (
        "[gateway]\ndefault_input_price = \"1e3\"\ndefault_output_price = \"1\"\n",
        "not `1e3`",
    ),
    (
        "[gateway]\nforward_hosts = [\"https://api.example.com\"]\n",
        "host names",
    ),
    ("[gateway]\nforward_hosts = [\"10.0.0.1\"]\n", "host names"),
    ("[gateway]\nin_flight_limit = 99999999999999999999\n", "is not TOML"),
    (
        "[management]\nrequests_per_minute = 0\n",
        "management.requests_per_minute",
    ),
    ("[retention]\nrequests_days = 31\n", "must be 0 or at least 32"),
    ("[retention]\nwebhook_deliveries_days = 6\n", "must be 0 or at least 7"),
    ("[log]\nformat = \"xml\"\n", "must be one of text, json"),
    ("[log]\nfilter = \"caldera=loud\"\n", "is not a log filter"),
    ("[server\nport = 1\n", "line 1, is not TOML"),
    ("[server]\nport = 1\nport = 2\n", "is not TOML"),
    (
        "bootstrap_secret_key = \"x\"\n",
        "unknown option `bootstrap_secret_key`",
    ),
];

const BROKEN_VARIABLES: &[(&str, &str, &str)] = &[
    ("PORT", "http", "option `server.port` in PORT must be a whole number"),
    ("PORT", "70000", "must be from 0 to 65535"),
    ("HOST", "-", "must be an address or a host name"),
    ("RUST_LOG", "caldera=loud", "is not a log filter"),
    ("DATABASE_URL", "localhost", "PostgreSQL address"),
    ("CALDERA__SERVER__PROT", "1", "unknown option `server.prot`"),
    ("CALDERA__PORT", "1", "unknown option `port`"),
    ("CALDERA__SERVER__PORT", "", "must be a whole number"),
    ("CALDERA__SERVER__PORT__", "1", "unknown option"),
    ("CALDERA__JOURNAL__DURABILITY", "disk", "must be one of os, fsync"),
    ("CALDERA__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,proxy", "`proxy`"),
    ("CALDERA__BOOTSTRAP__SECRET_KEY", "x", "unknown option"),
];
