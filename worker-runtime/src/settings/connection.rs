//! Address, TLS, API key and headers: what the SDKs' common configuration says, without what this worker cannot do.
//!
//! Values may be secret. The address alone is repeated in messages.

use std::collections::{BTreeMap, HashMap};

use temporalio_client::{ConnectionOptions, Url};
use temporalio_common::envconfig::{
    ClientConfigProfile, ConfigError, LoadClientConfigProfileOptions, load_client_config_profile,
};
use tonic::metadata::AsciiMetadataKey;

use super::{Problem, Reader};

impl Reader<'_> {
    /// The profile of the environment, over that of the configuration file if there is one.
    pub(super) fn connection(&mut self) -> ClientConfigProfile {
        for name in ["TEMPORAL_TLS", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"] {
            let text = self.get(name).unwrap_or("false").to_ascii_lowercase();
            if !["true", "false", "1", "0"].contains(&text.as_str()) {
                self.problem(name, format!("{text:?} is neither true nor false"), "true, false");
            }
        }
        let present: HashMap<String, String> = self
            .variables
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut profile = match load_client_config_profile(LoadClientConfigProfileOptions::default(), Some(&present)) {
            Ok(profile) => profile,
            Err(error) => {
                self.unreadable(&error);
                return ClientConfigProfile::default();
            }
        };
        // Read by the SDK's loader and then ignored by its connection: a setting that does nothing is refused.
        if profile.tls.as_ref().is_some_and(|tls| tls.disable_host_verification) {
            self.problem(
                "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION",
                "is not supported",
                "absent; use TEMPORAL_TLS_SERVER_NAME and TEMPORAL_TLS_SERVER_CA_CERT_PATH",
            );
        }
        if profile.codec.is_some() {
            self.problem(
                "TEMPORAL_CODEC_ENDPOINT",
                "remote codecs are not supported",
                "absent; set a codec in code",
            );
        }
        if let Some(tls) = &profile.tls
            && tls.client_cert.is_some() != tls.client_key.is_some()
        {
            self.problem(
                "TEMPORAL_TLS_CLIENT_CERT_PATH",
                "certificate and key need each other",
                "both or none",
            );
        }
        // Secrets tend to end with a line break, which no header can carry.
        let key = profile.api_key.as_deref().map(str::trim);
        profile.api_key = key.filter(|key| !key.is_empty()).map(str::to_owned);
        if profile.api_key.as_deref().is_some_and(|key| !fits_a_header(key)) {
            self.problem(
                "TEMPORAL_API_KEY",
                "has characters that no header can carry",
                "printable ASCII",
            );
        }
        let headers: BTreeMap<&String, &String> = profile.grpc_meta.iter().collect();
        for (name, value) in headers {
            if name.parse::<AsciiMetadataKey>().is_err() || !fits_a_header(value) {
                let allowed =
                    "printable ASCII, and a name of letters, digits and underscores that does not end with _BIN";
                self.problem(&variable_of(name), "cannot be sent as a header", allowed);
            }
        }
        profile
    }

    /// The loader's error, without the lines of a file that it may repeat.
    fn unreadable(&mut self, error: &ConfigError) {
        let (variable, allowed) = match error {
            ConfigError::ProfileNotFound(_) => ("TEMPORAL_PROFILE", "a profile of the configuration file"),
            ConfigError::LoadError(_) => (
                "TEMPORAL_CONFIG_FILE",
                "a file in the format of the SDKs' configuration",
            ),
            ConfigError::InvalidConfig(_) => ("TEMPORAL_*", "the SDKs' environment configuration"),
        };
        let text = error.to_string();
        self.problem(variable, text.lines().next().unwrap_or_default(), allowed);
    }
}

/// Whether a text can be sent as the value of a header, printable ASCII: the SDK drops an API key that cannot without a word, and servers
/// refuse what is beyond ASCII.
pub(crate) fn fits_a_header(value: &str) -> bool {
    value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// What is wrong with the address, by itself or beside TLS. `has_key`: there is an API key, in the profile or in a file.
///
/// The connection goes by the scheme of the address alone: with `http` it would send an API key in the clear whatever the TLS settings say.
pub(super) fn check_address(profile: &ClientConfigProfile, has_key: bool) -> Option<Problem> {
    let address = profile.address.as_deref()?;
    let refused = |problem: &str| {
        Some(Problem::new(
            "TEMPORAL_ADDRESS",
            format!("{address:?} {problem}"),
            "host:port, without a scheme: TEMPORAL_TLS decides on TLS",
        ))
    };
    let bare = ClientConfigProfile::builder().address(address).build();
    let Ok(options) = ConnectionOptions::try_from(bare) else {
        return refused("is no address");
    };
    let tls = tls_is_on(profile, has_key);
    // As the SDK looks at it, which takes `http:host:port` for an address with a scheme, too.
    let has_scheme = Url::parse(address).is_ok_and(|url| url.host().is_some());
    match (has_scheme.then(|| options.target.scheme()), tls) {
        (None, _) | (Some("http"), false) | (Some("https"), true) => None,
        (Some("http"), true) => refused("would be talked to in the clear although TLS is on"),
        (Some("https"), false) => refused("wants TLS, which is off"),
        (Some(_), _) => refused("has an unknown scheme"),
    }
}

/// The header that proves who a worker is. With an API key the SDK sends it by itself.
const AUTHORIZATION: &str = "authorization";

/// What would be sent in the clear: an API key or an authorization header while TLS is off. `has_key` as of [`check_address`].
pub(super) fn check_secrecy(profile: &ClientConfigProfile, has_key: bool) -> Vec<Problem> {
    if tls_is_on(profile, has_key) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    if has_key {
        problems.push(Problem::new(
            "TEMPORAL_TLS",
            "is off although there is an API key, which would be sent in the clear",
            "true, or no API key",
        ));
    }
    // Names from a configuration file may be of either case.
    if profile
        .grpc_meta
        .keys()
        .any(|name| name.eq_ignore_ascii_case(AUTHORIZATION))
    {
        problems.push(Problem::new(
            &variable_of(AUTHORIZATION),
            "would be sent in the clear, as TLS is off",
            "TEMPORAL_TLS=true beside it, or no such header (in a configuration file: [profile.NAME.grpc_meta])",
        ));
    }
    problems
}

/// Whether the connection is encrypted: as TLS is configured, and without a word about it where there is an API key.
fn tls_is_on(profile: &ClientConfigProfile, has_key: bool) -> bool {
    profile.tls.as_ref().map_or(has_key, |tls| tls.disabled != Some(true))
}

/// The variable that sets a header.
fn variable_of(header: &str) -> String {
    format!("TEMPORAL_GRPC_META_{}", header.to_uppercase().replace('-', "_"))
}
