//! One part of the reference: a noun, the things that it shows, and the calls that there are on it, each under today's
//! path and those of older clients.

use utoipa::openapi::{HttpMethod, Object};

use super::call::Call;
use super::envelope::Envelope;

/// See the module.
pub struct Part {
    pub name: &'static str,
    pub says: &'static str,
    /// Things by name, as answers hold them.
    pub things: Vec<(&'static str, Object)>,
    /// Those of which there are lists.
    pub listed: Vec<&'static str>,
    pub routes: Vec<Route>,
}

/// A call at its paths.
pub struct Route {
    pub method: HttpMethod,
    /// Today's; empty where only older clients call it.
    pub path: String,
    /// What older clients call.
    pub older_paths: Vec<String>,
    pub call: Call,
}

impl Part {
    pub fn new(name: &'static str, says: &'static str) -> Self {
        Self {
            name,
            says,
            things: Vec::new(),
            listed: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// A thing that answers hold.
    pub fn thing(mut self, name: &'static str, object: Object) -> Self {
        self.things.push((name, object));
        self
    }

    /// A thing that answers hold, of which there are lists.
    pub fn listed_thing(mut self, name: &'static str, object: Object) -> Self {
        self.listed.push(name);
        self.thing(name, object)
    }

    pub fn get(self, paths: &[&str], call: Call) -> Self {
        self.route(HttpMethod::Get, paths, call)
    }

    pub fn post(self, paths: &[&str], call: Call) -> Self {
        self.route(HttpMethod::Post, paths, call)
    }

    pub fn put(self, paths: &[&str], call: Call) -> Self {
        self.route(HttpMethod::Put, paths, call)
    }

    pub fn patch(self, paths: &[&str], call: Call) -> Self {
        self.route(HttpMethod::Patch, paths, call)
    }

    pub fn delete(self, paths: &[&str], call: Call) -> Self {
        self.route(HttpMethod::Delete, paths, call)
    }

    /// All of it is of older clients.
    pub fn all_older(mut self) -> Self {
        for route in &mut self.routes {
            let path = std::mem::take(&mut route.path);
            route.older_paths.insert(0, path);
        }
        self
    }

    /// The first of the paths is today's.
    pub fn route(mut self, method: HttpMethod, paths: &[&str], call: Call) -> Self {
        let mut all: Vec<String> = Vec::new();
        for path in paths {
            all.push((*path).to_owned());
            // As the resources of the management API are registered; those of the gateway are not.
            if call.envelope == Envelope::Lava && path.contains('_') {
                all.push(path.replace('_', "-"));
            }
        }
        let mut all = all.into_iter();
        if let Some(path) = all.next() {
            self.routes.push(Route {
                method,
                path,
                older_paths: all.collect(),
                call,
            });
        }
        self
    }
}
