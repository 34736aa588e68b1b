//! `caldera dashboard`: its link opens the dashboard, once.

use super::told;
use crate::support::house::House;
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
