//! Pictures of the shipped file: which entry prices which.

use super::*;

fn book() -> &'static PriceBook {
    static BOOK: std::sync::OnceLock<PriceBook> = std::sync::OnceLock::new();
    BOOK.get_or_init(|| PriceBook::parse(include_str!("../../../config/prices.json")).unwrap().0)
}

fn find(provider: &str, model: &str, size: Option<&str>, quality: Option<&str>) -> Option<Arc<ModelPrice>> {
    let names = [Arc::from(provider)];
    book().find_image(&names, &names, model, Picture { size, quality })
}

/// Nano-dollars for one image.
fn image(price: &ModelPrice) -> i64 {
    price.standard.base.image / 1_000_000
}

#[test]
fn a_picture_costs_what_its_size_and_quality_cost() {
    let cents = |hundredths: i64| Some(hundredths * 100_000);
    let table = [
        // (provider, model, size, quality, expected in hundredths of a cent)
        ("openai", "gpt-image-1", Some("1024x1024"), Some("high"), cents(1_670)),
        ("openai", "gpt-image-1", Some("1024x1536"), Some("high"), cents(2_500)),
        ("openai", "gpt-image-1", Some("1024-x-1536"), Some("low"), cents(160)),
        ("openai", "gpt-image-1", Some("1024x1024"), None, cents(1_670)),
        ("openai", "gpt-image-1", Some("auto"), Some("low"), cents(160)),
        ("openai", "gpt-image-1", None, None, cents(2_500)),
        (
            "openai",
            "gpt-image-1.5",
            Some("1024x1024"),
            Some("standard"),
            cents(90),
        ),
        ("openai", "gpt-image-1.5", Some("1024x1024"), Some("auto"), cents(1_330)),
        // A size that no entry names: the dearest.
        ("openai", "gpt-image-1", Some("2048x2048"), Some("low"), cents(2_500)),
        // By the pixel: 1024 * 1792 * 0.0000000719343 dollars.
        ("azure", "dall-e-3", Some("1024x1792"), Some("hd"), Some(132_000_015)),
        ("azure", "dall-e-3", None, None, Some(44_000_031)),
        ("azure", "dall-e-3", Some("7x7"), None, None),
        ("xai", "grok-imagine-image", None, None, cents(200)),
        (
            "xai",
            "grok-imagine-image-2.0",
            Some("1024x1024"),
            Some("low"),
            cents(400),
        ),
        ("xai", "grok-imagine-image-2.0", Some("2048x2048"), None, cents(600)),
        (
            "xai",
            "grok-imagine-image-2.0",
            Some("1024x1024"),
            Some("high"),
            cents(600),
        ),
        ("xai", "grok-imagine-image-2.0", Some("1024x1024"), None, cents(600)),
        ("bedrock", "amazon.nova-canvas-v1:0", Some("512x512"), None, cents(600)),
        (
            "bedrock",
            "stability.stable-diffusion-xl-v1",
            None,
            Some("max-steps"),
            cents(800),
        ),
        ("openai", "no-such-model", None, None, None),
        ("groq", "gpt-image-1", Some("1024x1024"), Some("high"), None),
    ];
    for (provider, model, size, quality, expected) in table {
        let price = find(provider, model, size, quality);
        assert_eq!(
            price.as_deref().map(image),
            expected,
            "{provider} {model} {size:?} {quality:?}"
        );
    }
}

#[test]
fn a_model_that_is_priced_by_the_token_keeps_its_tokens_beside_the_picture() {
    let price = find("openai", "gpt-image-1", Some("1024x1024"), Some("high")).unwrap();
    assert_eq!(
        (&*price.id, price.standard.base.image_output),
        ("gpt-image-1", 40_000_000_000)
    );
    let usage = crate::domain::usage::Usage {
        input_tokens: 10,
        output_tokens: 4_160,
        image_output_tokens: 4_160,
        images: 1,
        ..Default::default()
    };
    let tier = crate::domain::price::ServiceTier::Standard;
    let by_token = price.cost(&usage, tier).unwrap().nanos();
    assert_eq!(by_token, 10 * 5_000 + 4_160 * 40_000);
    let untold = crate::domain::usage::Usage {
        images: 2,
        ..Default::default()
    };
    assert_eq!(price.cost(&untold, tier).unwrap().nanos(), 2 * 167_000_000);
}
