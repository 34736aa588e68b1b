//! The dashboard and the alerts that come with Caldera: they name nothing that a scrape does not say.
