//! What a reload of the configuration replaces in the gateway, whole, while calls run: the options, the catalogues with
//! their credentials, and what follows from both. A call that has begun keeps what it has taken of the ones before. To
//! look costs a few nanoseconds and no lock.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::Guard;

use crate::domain::money::Money;
use crate::domain::price::ModelPrice;

use super::breaker::{Breakers, CircuitParts};
use super::options::GatewayOptions;
use super::provider::Catalogue;

/// What the operator sets, checked.
pub struct GatewaySettings {
    pub options: GatewayOptions,
    pub catalogue: Catalogue,
    /// For test merchants: every provider is the simulated one.
    pub test_catalogue: Catalogue,
}

impl GatewaySettings {
    pub(super) fn catalogues(&self) -> [&Catalogue; 2] {
        [&self.catalogue, &self.test_catalogue]
    }

    /// The places that may be of the operator's own network.
    pub(super) fn private_hosts(&self) -> impl Iterator<Item = (String, u16)> {
        self.catalogues().into_iter().flat_map(Catalogue::private_hosts)
    }
}

/// The settings, and what was made of them.
pub struct InForce {
    pub settings: GatewaySettings,
    pub default_price: Option<Arc<ModelPrice>>,
    pub breakers: Breakers,
}

impl InForce {
    /// Circuits that are known go on as they are, by new terms.
    pub(super) fn new(settings: GatewaySettings, known: &Breakers, parts: &CircuitParts) -> Self {
        Self {
            default_price: default_price(&settings.options),
            breakers: Breakers::new(&settings.options, settings.catalogues(), known, parts),
            settings,
        }
    }
}

fn default_price(options: &GatewayOptions) -> Option<Arc<ModelPrice>> {
    let input: Money = options.default_input_price.parse().ok()?;
    let output: Money = options.default_output_price.parse().ok()?;
    Some(Arc::new(ModelPrice::flat("default", input, output)))
}

/// A part of what is in force, as it was when this was taken; to be held for moments.
pub struct View<T: ?Sized> {
    in_force: Guard<Arc<InForce>>,
    part: fn(&InForce) -> &T,
}

impl<T: ?Sized> View<T> {
    pub(super) fn of(in_force: Guard<Arc<InForce>>, part: fn(&InForce) -> &T) -> Self {
        Self { in_force, part }
    }
}

impl<T: ?Sized> Deref for View<T> {
    type Target = T;

    fn deref(&self) -> &T {
        (self.part)(&self.in_force)
    }
}
