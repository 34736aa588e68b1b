//! Why a call has nowhere to go, and what its client is told.

use std::sync::Arc;

/// Why there is nowhere to go. `code` and `status` are what the client sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("No credential for the provider {provider}: set {variable} to use {subject}.")]
    CredentialMissing {
        provider: Arc<str>,
        variable: String,
        subject: String,
    },
    #[error(
        "{model} is served by {provider}, whose format this endpoint cannot translate yet; use the provider's own format."
    )]
    NotTranslated { model: String, provider: Arc<str> },
    #[error("{host} is not a provider that this server forwards to.")]
    HostUnknown { host: String },
    #[error("{method} {path} of {provider} cannot be called with the operator's credential.")]
    EndpointUnknown {
        method: String,
        path: String,
        provider: Arc<str>,
    },
    #[error("The target is not a valid address.")]
    NotAnAddress,
}

impl ResolveError {
    pub const fn code(&self) -> &'static str {
        match self {
            Self::CredentialMissing { .. } => "model_not_found",
            Self::NotTranslated { .. } => "forward_model_not_supported",
            Self::HostUnknown { .. } | Self::EndpointUnknown { .. } | Self::NotAnAddress => {
                "forward_endpoint_not_supported"
            }
        }
    }

    pub const fn status(&self) -> u16 {
        match self {
            Self::CredentialMissing { .. } => 404,
            Self::NotTranslated { .. }
            | Self::HostUnknown { .. }
            | Self::EndpointUnknown { .. }
            | Self::NotAnAddress => 400,
        }
    }

    /// The parameter that is wrong.
    pub const fn param(&self) -> &'static str {
        match self {
            Self::CredentialMissing { .. } | Self::NotTranslated { .. } => "model",
            Self::HostUnknown { .. } | Self::EndpointUnknown { .. } | Self::NotAnAddress => "u",
        }
    }
}
