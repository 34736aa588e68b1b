//! The command line as it is written: what it takes, what it refuses, and that every command is well formed.

use clap::CommandFactory as _;

use super::*;

fn read(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(line.split_whitespace())
}

#[test]
fn the_commands_are_well_formed() {
    Arguments::command().debug_assert();
}

#[test]
fn what_is_asked_may_stand_before_or_behind_the_command() {
    for line in [
        "caldera --json keys list",
        "caldera keys list --json",
        "caldera keys create --spend --name N --merchant mer_1 --spend-limit 5.00 --cycle daily",
        "caldera keys create --budget 5.00 --model gpt-* --model claude-* --rpm 60 --burst 5 --expires 7d",
        "caldera keys create --wallet --wallet-id wal_1",
        "caldera keys edit spk_1 --spend-limit none",
        "caldera keys revoke spk_1 spk_2",
        "caldera wallets set wal_1 --funding prepaid",
        "caldera wallets fund wal_1 10.00",
        "caldera requests --follow",
        "caldera requests list --key spk_1",
        "caldera requests show req_1",
        "caldera usage --days 7 --by model",
        "caldera customers create --reference-id jane --metadata a=b",
    ] {
        assert!(
            read(line).is_ok(),
            "{line}: {}",
            read(line).err().map_or(String::new(), |why| why.to_string())
        );
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "caldera",
        "caldera keys create --secret --spend",
        "caldera keys create --secret --wallet-id wal_1",
        "caldera keys create --cycle daily",
        "caldera keys create --spend-limit 5 --cycle yearly",
        "caldera keys create --burst 5",
        "caldera keys revoke",
        "caldera keys pause",
        "caldera keys resume",
        "caldera wallets fund wal_1",
        "caldera wallets set wal_1",
        "caldera wallets set wal_1 --funding never",
        "caldera usage --days 0",
        "caldera requests --follow --cursor x",
    ] {
        assert_eq!(read(line).err().map(|why| why.exit_code()), Some(2), "{line}");
    }
}

#[test]
fn what_follows_a_tool_is_the_tools_own() {
    for line in [
        "caldera run --budget 2 -- tool --json --budget 9",
        "caldera run --budget 2 tool --json --budget 9",
    ] {
        assert!(!read(line).unwrap().place.json, "{line}");
    }
    assert!(read("caldera run").is_err());
    assert!(read("caldera env --spend-key-file x --new").is_err());
    assert!(read("caldera completions tcsh").is_err());
    assert!(read("caldera prices import").is_err());
}
