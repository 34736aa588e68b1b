//! The keys that manage, and those of providers, in the reference.

use serde_json::json;

use super::call::{manager, secret};
use super::part::Part;
use super::schema::{Unknown, body, id, instant, object, text, the};

pub fn secret_keys() -> Part {
    let shown = || {
        vec![
            id("secret_key_id", "sec", "The key's id."),
            text("name", "What it is called."),
            text("secret_key_hint", "How the key ends."),
            instant("created_at", "When it was made."),
        ]
    };
    let plain_text = text("secret_key", "The key itself, which is shown this once.");
    let name = text("name", "What the key is called.").most(255).required();
    Part::new(
        "Secret keys",
        "What the management API is called with: each manages all that its merchant has.",
    )
    .listed_thing("SecretKey", object(shown()))
    .thing("SecretKeyWithSecret", object([shown(), vec![plain_text]].concat()))
    .post(
        &["/v1/secret_keys"],
        secret("createSecretKey", "Make a secret key")
            .takes(body(Unknown::Refused, vec![name]), json!({ "name": "deployment" }))
            .answers(201, "The new key, with its secret.", the("SecretKeyWithSecret")),
    )
    .get(
        &["/v1/secret_keys"],
        secret("listSecretKeys", "List secret keys").answers_page("SecretKey"),
    )
    .delete(
        &["/v1/secret_keys/{id}"],
        secret("deleteSecretKey", "Delete a secret key")
            .says("It is refused before the answer leaves. A key may delete itself: it is the last thing that it does.")
            .of_one(id("id", "sec", "The key."))
            .answers_deleted(),
    )
}

pub fn wallet_keys() -> Part {
    let shown = || {
        vec![
            id("wallet_key_id", "wk", "The key's id."),
            text("key_preview", "How the key begins."),
            text("name", "What it is called."),
            id("wallet_id", "wal", "The wallet whose spend keys it manages."),
            instant("last_used_at", "When it was last used.").or_null(),
            instant("created_at", "When it was made."),
        ]
    };
    let plain_text = text("key", "The key itself, which is shown this once.");
    let key = || id("id", "wk", "The key.");
    let about = "Keys that manage the spend keys of one wallet and nothing else. They are made from the command line: \
                 `caldera keys create --wallet`.";
    Part::new("Wallet keys", about)
        .listed_thing("WalletKey", object(shown()))
        .thing("WalletKeyWithSecret", object([shown(), vec![plain_text]].concat()))
        .get(
            &["/v1/wallet_keys"],
            manager("listWalletKeys", "List wallet keys").answers_page("WalletKey"),
        )
        .post(
            &["/v1/wallet_keys/{id}/rotate"],
            manager("rotateWalletKey", "Rotate a wallet key")
                .says("Gives the key a new secret; the old one is dead before the answer leaves.")
                .of_one(key())
                .takes(body(Unknown::Refused, vec![]), serde_json::Value::Null)
                .answers(200, "The key, with its new secret.", the("WalletKeyWithSecret")),
        )
        .delete(
            &["/v1/wallet_keys/{id}"],
            manager("revokeWalletKey", "Revoke a wallet key")
                .of_one(key())
                .answers_success(),
        )
}

pub fn provider_keys() -> Part {
    let shown = vec![
        id("provider_key_id", "pvk", "The credential's id."),
        text("provider", "The provider's name in the catalogue."),
        text("name", "What it is called.").or_null(),
        text("key_hint", "How the credential ends."),
        instant("created_at", "When it was stored."),
    ];
    let fields = vec![
        text("provider", "A provider that `GET /v1/services` lists.")
            .most(255)
            .required(),
        text(
            "key",
            "The credential, printable ASCII. It is stored sealed and never shown again.",
        )
        .most(4096)
        .required(),
        text("name", "What it is called.").most(255).or_null(),
    ];
    let about = "A merchant's own credentials at providers, with which his calls are made in place of the operator's. \
                 There is one a provider: a new one takes the place of the last.";
    Part::new("Provider keys", about)
        .listed_thing("ProviderKey", object(shown))
        .post(
            &["/v1/provider_keys"],
            secret("createProviderKey", "Store a provider's credential")
                .takes(
                    body(Unknown::Refused, fields),
                    json!({ "provider": "openai", "key": "sk-..." }),
                )
                .answers(201, "What is stored.", the("ProviderKey")),
        )
        .get(
            &["/v1/provider_keys"],
            secret("listProviderKeys", "List providers' credentials").answers_page("ProviderKey"),
        )
        .delete(
            &["/v1/provider_keys/{id}"],
            secret("deleteProviderKey", "Delete a provider's credential")
                .of_one(id("id", "pvk", "The credential."))
                .answers_deleted(),
        )
}
