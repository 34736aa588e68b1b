//! `caldera dashboard`: its link opens the dashboard, once.

use super::told;
use crate::support::house::House;
use crate::support::server::secret_key;
use crate::support::visitor::Visitor;

#[test]
fn the_link_from_the_command_line_opens_the_dashboard_once() {
    let house = House::new();
    let text = told(&house, &["dashboard"]);
    let url = text.lines().next().unwrap().to_owned();
    let path = url
        .strip_prefix(&house.server.url())
        .expect("it is of this server")
        .to_owned();
    let mut visitor = Visitor::new(&house.server);
    visitor.send(&path, &[]).expect_status(303);
    assert!(visitor.page("/dashboard/spend_keys").contains("AI Spend"));
    assert_eq!(Visitor::new(&house.server).send(&path, &[]).status, 410);
    let made = house
        .server
        .ask(&["dashboard", "--base-url", "https://ai.example.com/"]);
    assert!(
        made["url"]
            .as_str()
            .unwrap()
            .starts_with("https://ai.example.com/dashboard/link/"),
        "{made}"
    );
}

#[test]
fn everybody_is_signed_out_from_the_command_line() {
    let house = House::new();
    let url = told(&house, &["dashboard"]);
    let unused = url.lines().next().unwrap().strip_prefix(&house.server.url()).unwrap();
    let visitor = Visitor::signed_in(&house.server, secret_key());
    let other = Visitor::signed_in(&house.server, &house.test_merchant());
    let text = told(&house, &["dashboard", "--end-sessions"]);
    assert!(text.contains("Sessions that ended: 1."), "{text}");
    assert_eq!(visitor.get("/dashboard/spend_keys").status, 303);
    assert_eq!(Visitor::new(&house.server).send(unused, &[]).status, 410);
    other.page("/dashboard/spend_keys");
    let events = house.server.client().get("/v1/audit_events?action=sessions.end").json();
    assert_eq!(events["data"][0]["actor_kind"], "operator", "{events}");
}
