//! Speech and transcription: what is billed by the character, by the second and by tokens.

use super::*;
use crate::app::simulator::sound::wav;

const SPEECH: &str = "/v1/audio/speech";
const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";

fn speech(model: &str, more: &Value) -> Value {
    with(
        json!({"model": model, "voice": "alloy", "input": "né [[sim output_tokens=3]]"}),
        more,
    )
}

async fn body_of(mut answer: Answer) -> Bytes {
    answer.body().limit(1 << 22).await.unwrap()
}

#[actix_rt::test]
async fn an_older_model_speaks_by_the_character() {
    let fixture = Fixture::start();
    for (format, kind, size) in [
        ("mp3", "audio/mpeg", 26 * 3 * 192),
        ("wav", "audio/wav", 44 + 26 * 72 * 48),
        ("pcm", "audio/pcm", 26 * 72 * 48),
    ] {
        let answer = fixture
            .post(SPEECH, &speech("tts-1", &json!({"response_format": format})))
            .await;
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.headers().get("content-type").unwrap().to_str().unwrap()
            ),
            (200, kind)
        );
        assert_eq!(body_of(answer).await.len(), size);
    }
    let sums = &fixture.settled_ledger().await["models"]["tts-1"];
    assert_eq!((&sums["characters"], &sums["output_tokens"]), (&json!(78), &json!(0)));
    let long = speech("tts-1", &json!({"input": "x".repeat(4097)}));
    assert_eq!(fixture.post(SPEECH, &long).await.status(), 400);
    assert_eq!(
        fixture
            .post(SPEECH, &speech("tts-1", &json!({"stream_format": "sse"})))
            .await
            .status(),
        400
    );
}

#[actix_rt::test]
async fn a_newer_model_speaks_by_the_token_and_reports_it_in_events_only() {
    let fixture = Fixture::start();
    let whole = body_of(fixture.post(SPEECH, &speech("gpt-4o-mini-tts", &json!({}))).await).await;
    assert_eq!(whole.len(), 3 * 2 * 192);
    let body = speech("gpt-4o-mini-tts", &json!({"stream_format": "sse"}));
    let events = events(&chunks(fixture.post(SPEECH, &body).await).await);
    assert_eq!((events.len(), &events[3]["usage"]["output_tokens"]), (4, &json!(3)));
    let sums = &fixture.settled_ledger().await["models"]["gpt-4o-mini-tts"];
    assert_eq!(
        (
            &sums["output_tokens"],
            &sums["reported_output_tokens"],
            &sums["characters"]
        ),
        (&json!(6), &json!(3), &json!(0))
    );
    let cut = speech(
        "gpt-4o-mini-tts",
        &json!({"input": "[[sim output_tokens=500 cut_after=1]]"}),
    );
    assert!(fixture.breaks_off(SPEECH, &cut).await);
}

#[actix_rt::test]
async fn elevenlabs_says_what_the_characters_cost() {
    let fixture = Fixture::start();
    let url = format!("{}/v1/text-to-speech/v1", fixture.base);
    let body = json!({"text": "né", "model_id": "eleven_flash_v2_5"});
    let with_key = |key: &str| fixture.client.post(&url).insert_header(("xi-api-key", key.to_owned()));
    let answer = with_key("k").send_json(&body).await.unwrap();
    assert_eq!(answer.headers().get("character-cost").unwrap(), "2");
    assert_eq!(body_of(answer).await.len(), 2 * 3 * 192);
    assert_eq!(fixture.ledger().await["models"]["eleven_flash_v2_5"]["characters"], 2);
    let mut refused = with_key("bad").send_json(&body).await.unwrap();
    let error: Value = serde_json::from_slice(&refused.body().await.unwrap()).unwrap();
    assert_eq!(
        (refused.status().as_u16(), &error["detail"]["status"]),
        (401, &json!("invalid_api_key"))
    );
}

#[actix_rt::test]
async fn whisper_costs_by_the_begun_second_of_the_file() {
    let fixture = Fixture::start();
    let file = wav(2_500);
    for (format, expected) in [
        ("json", r#""seconds":3"#),
        ("verbose_json", r#""duration":2.5,"#),
        ("text", "the sun \n"),
        ("srt", "1\n00:00:00,000 --> 00:00:02,500\nthe sun "),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:02.500\nthe sun "),
    ] {
        let fields = [
            ("model", "whisper-1"),
            ("response_format", format),
            ("prompt", "[[sim output_tokens=2]]"),
        ];
        let answer = fixture.post_form(TRANSCRIPTIONS, &fields, Some(("file", &file))).await;
        assert_eq!(answer.status(), 200);
        let text = String::from_utf8(body_of(answer).await.to_vec()).unwrap();
        assert!(text.contains(expected), "{text}");
    }
    let unknown = [("model", "whisper-1"), ("prompt", "[[sim audio_ms=7000]]")];
    for path in [TRANSCRIPTIONS, "/audio/translations"] {
        let answer = fixture.post_form(path, &unknown, Some(("file", b"ID3"))).await;
        let answer: Value = serde_json::from_slice(&body_of(answer).await).unwrap();
        assert_eq!(answer["usage"], json!({"type": "duration", "seconds": 7}));
    }
    let sums = &fixture.ledger().await["models"]["whisper-1"];
    assert_eq!((&sums["audio_ms"], &sums["output_tokens"]), (&json!(29_000), &json!(0)));
}

#[actix_rt::test]
async fn a_newer_model_transcribes_by_the_token_whole_or_streamed() {
    let fixture = Fixture::start();
    let file = wav(2_500);
    let model = ("model", "gpt-4o-transcribe");
    let fields = [model, ("prompt", "[[sim output_tokens=2]]"), ("stream", "true")];
    let answer = fixture
        .post_form(TRANSCRIPTIONS, &fields[..2], Some(("file", &file)))
        .await;
    let whole: Value = serde_json::from_slice(&body_of(answer).await).unwrap();
    assert_eq!(
        whole["usage"]["input_token_details"],
        json!({"text_tokens": 6, "audio_tokens": 25})
    );
    let answer = fixture.post_form(TRANSCRIPTIONS, &fields, Some(("file", &file))).await;
    let events = events(&chunks(answer).await);
    assert_eq!((events.len(), &events[2]["type"]), (3, &json!("transcript.text.done")));
    assert_eq!(
        (&events[2]["usage"], &events[2]["text"]),
        (&whole["usage"], &whole["text"])
    );
    let sums = &fixture.settled_ledger().await["models"]["gpt-4o-transcribe"];
    assert_eq!(
        (&sums["input_tokens"], &sums["output_tokens"], &sums["audio_ms"]),
        (&json!(62), &json!(4), &json!(0))
    );
    let srt = [model, ("response_format", "srt")];
    assert_eq!(
        fixture
            .post_form(TRANSCRIPTIONS, &srt, Some(("file", &file)))
            .await
            .status(),
        400
    );
}

#[actix_rt::test]
async fn a_form_that_is_none_or_lacks_a_part_is_refused_and_booked_as_an_error() {
    let fixture = Fixture::start();
    assert_eq!(
        fixture
            .post(TRANSCRIPTIONS, &json!({"model": "whisper-1"}))
            .await
            .status(),
        400
    );
    assert_eq!(
        fixture
            .post_form(TRANSCRIPTIONS, &[("model", "whisper-1")], None)
            .await
            .status(),
        400
    );
    assert_eq!(
        fixture
            .post_form(TRANSCRIPTIONS, &[], Some(("file", b"x")))
            .await
            .status(),
        400
    );
    let ledger = fixture.ledger().await;
    assert_eq!((&ledger["errors"], &ledger["completed"]), (&json!(3), &json!(0)));
}
