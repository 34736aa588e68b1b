//! Streamed answers: their frames, their pace, and the books of streams that end badly.

use super::*;

#[actix_rt::test]
async fn a_chat_stream_has_a_frame_for_each_token_and_ends_with_the_usage() {
    let fixture = Fixture::start();
    let body = with(chat_stream("output_tokens=3"), &json!({"n": 2}));
    let chunks = chunks(fixture.post(CHAT, &body).await).await;
    assert_eq!(chunks.last().unwrap(), "data: [DONE]\n\n");
    assert!(!fixture.breaks_off(CHAT, &body).await);
    let events = events(&chunks);
    // Two roles, six words, two ends, one frame of usage.
    assert_eq!(events.len(), 11);
    let second: Vec<&str> = events
        .iter()
        .filter(|event| event["choices"][0]["index"] == 1)
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(second, ["", "the ", "sun ", "has "]);
    assert!(
        events[..10]
            .iter()
            .all(|event| event["usage"].is_null() && event.get("usage").is_some())
    );
    assert_eq!(events[9]["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        (&events[10]["choices"], &events[10]["usage"]["completion_tokens"]),
        (&json!([]), &json!(6))
    );
    let sums = &fixture.settled_ledger().await["models"]["gpt-4o-mini"];
    assert_eq!(
        (&sums["output_tokens"], &sums["reported_output_tokens"]),
        (&json!(12), &json!(12))
    );
}

#[actix_rt::test]
async fn a_chat_stream_reports_no_usage_unless_it_is_asked_and_has_one() {
    let fixture = Fixture::start();
    for body in [
        with(chat("output_tokens=3"), &json!({"stream": true})),
        chat_stream("output_tokens=3 usage=missing"),
    ] {
        let chunks = chunks(fixture.post(CHAT, &body).await).await;
        assert!(events(&chunks).iter().all(|event| event.get("usage").is_none()));
    }
    let ledger = fixture.settled_ledger().await;
    assert_eq!(ledger["completed"], 2);
    assert_eq!(ledger["models"]["gpt-4o-mini"]["reported_output_tokens"], 0);
    assert_eq!(ledger["models"]["gpt-4o-mini"]["output_tokens"], 6);
}

#[actix_rt::test]
async fn a_message_stream_has_its_events_in_order_and_cumulative_usage() {
    let fixture = Fixture::start();
    let chunks = chunks(fixture.post(MESSAGES, &message_stream("output_tokens=2")).await).await;
    let events = events(&chunks);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(kinds, expected);
    assert!(chunks[0].starts_with(b"event: message_start\ndata: "));
    assert_eq!(events[0]["message"]["usage"]["output_tokens"], 1);
    assert_eq!(events[6]["usage"]["output_tokens"], 2);
    assert_eq!(events[6]["delta"]["stop_reason"], "end_turn");
}

#[actix_rt::test]
async fn a_cut_stream_hands_over_its_frames_first_and_is_booked_with_just_those() {
    let fixture = Fixture::start();
    for (path, body, opening) in [
        (CHAT, chat_stream("output_tokens=9 cut_after=4"), 1),
        (MESSAGES, message_stream("output_tokens=9 cut_after=4"), 3),
        (CHAT, chat_stream("output_tokens=4 cut_after=4 split=7"), 1),
    ] {
        let chunks = chunks(fixture.post(path, &body).await).await;
        assert!(fixture.breaks_off(path, &body).await);
        assert_eq!(events(&chunks).len(), opening + 4);
    }
    let ledger = fixture.settled_ledger().await;
    assert_eq!((&ledger["cut"], &ledger["completed"]), (&json!(6), &json!(0)));
    assert_eq!(ledger["models"]["gpt-4o-mini"]["output_tokens"], 16);
    assert_eq!(ledger["models"]["claude-haiku-4-5"]["reported_output_tokens"], 2);
}

#[actix_rt::test]
async fn a_hanging_stream_stays_open_until_its_client_goes_away() {
    let fixture = Fixture::start();
    let mut answer = fixture.post(CHAT, &chat_stream("output_tokens=9 hang_after=2")).await;
    for _ in 0..3 {
        answer.next().await.unwrap().unwrap();
    }
    let nothing = tokio::time::timeout(Duration::from_millis(30), answer.next()).await;
    assert!(nothing.is_err());
    assert_eq!(fixture.ledger().await["open"], 1);
    drop(answer);
    let ledger = fixture.settled_ledger().await;
    assert_eq!(
        (&ledger["cut"], &ledger["models"]["gpt-4o-mini"]["output_tokens"]),
        (&json!(1), &json!(2))
    );
}

#[actix_rt::test]
async fn a_split_stream_has_pieces_of_the_asked_size_and_the_same_bytes() {
    let fixture = Fixture::start();
    for split in [1, 7, 1_000] {
        let body = message_stream(&format!("output_tokens=20 utf8=1 split={split}"));
        let pieces = chunks(fixture.post(MESSAGES, &body).await).await;
        let (last, others) = pieces.split_last().unwrap();
        assert!(others.iter().all(|piece| piece.len() == split) && last.len() <= split);
        let events = events(&pieces);
        assert_eq!(events.len(), 26);
        assert_eq!(events[6]["delta"]["text"], "🙂");
    }
}

#[actix_rt::test]
async fn frames_keep_the_asked_distance() {
    let fixture = Fixture::start();
    let start = Instant::now();
    let _ = chunks(
        fixture
            .post(MESSAGES, &message_stream("output_tokens=2 chunk_ms=10"))
            .await,
    )
    .await;
    // Eight frames have seven distances.
    assert!(start.elapsed() >= Duration::from_millis(70));
}

#[actix_rt::test]
async fn a_delayed_call_whose_client_goes_away_is_booked_as_cut_with_its_input() {
    let fixture = Fixture::start();
    let waiting = fixture.clone();
    let call = actix_rt::spawn(async move { waiting.post(CHAT, &chat("delay_ms=15000")).await });
    let start = Instant::now();
    while fixture.ledger().await["open"] == 0 {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    call.abort();
    let ledger = fixture.settled_ledger().await;
    assert_eq!((&ledger["cut"], &ledger["completed"]), (&json!(1), &json!(0)));
    assert_eq!(ledger["models"]["gpt-4o-mini"]["output_tokens"], 0);
}
