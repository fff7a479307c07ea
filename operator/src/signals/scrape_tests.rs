//! The client against real HTTP on ports of its own.

use std::net::Ipv4Addr;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const PAGE: &str = "temporal_worker_task_slots_used{task_queue=\"q\",worker_type=\"ActivityWorker\"} 3\n\
                    temporal_worker_task_slots_available{task_queue=\"q\",worker_type=\"ActivityWorker\"} 1\n\
                    temporal_num_pollers{task_queue=\"q\",poller_type=\"activity_task\"} 2\n";

fn now() -> Timestamp {
    "2026-11-22T12:10:00Z".parse().unwrap()
}

fn pod() -> Pod {
    let worker = json!({"name": "worker", "image": "i", "imageID": "", "ready": true, "restartCount": 1,
                        "state": {"running": {"startedAt": "2026-11-22T12:05:00Z"}}});
    serde_json::from_value(json!({
        "metadata": {"name": "a", "uid": "u", "creationTimestamp": "2026-11-22T12:00:00Z"},
        "status": {"podIP": "127.0.0.1", "containerStatuses": [worker]}
    }))
    .unwrap()
}

/// Answers every connection once: with this status line and body, or never if there is none.
async fn serve(answer: Option<(&'static str, String)>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap_or(0);
            assert!(request[..length].starts_with(b"GET /metrics HTTP/1.1"));
            let Some((status, body)) = &answer else {
                silent.push(stream);
                continue;
            };
            let text = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(text.as_bytes()).await.ok();
        }
    });
    port
}

fn reason(seen: &Seen<WorkerReport>) -> &str {
    seen.reason().unwrap_or("known")
}

#[tokio::test]
async fn a_page_becomes_a_report_whose_counters_began_with_the_container() {
    let port = serve(Some(("200 OK", PAGE.to_owned()))).await;
    let scrapes = Scrapes::default();
    assert!(!scrapes.answered("u"));
    let Seen::Known(report) = scrapes.of(&pod(), port, now()).await else {
        panic!("a page")
    };
    assert!(scrapes.answered("u"));
    assert_eq!((report.source, report.oldest_task), (Source::Scrape, None));
    assert_eq!(report.pod.started, "2026-11-22T12:05:00Z".parse().unwrap());
    assert_eq!(report.pod.at, now());
    assert_eq!((report.pod.slots[0].used, report.pod.slots[0].limit), (3, Some(4)));
    assert_eq!(report.polled[0].to_string(), "q/Activity");
    assert!(!report.draining && !report.reloads_credentials);
}

#[tokio::test]
async fn what_is_no_page_of_a_worker_is_unknown_and_says_why() {
    let scrapes = Scrapes::default();
    for (status, body, expected) in [
        ("200 OK", "process_cpu_seconds_total 4\n".to_owned(), "no slots"),
        ("404 Not Found", PAGE.to_owned(), "404"),
        ("200 OK", "# a\n".repeat(LONGEST_PAGE / 4 + 1), "cannot be read"),
    ] {
        let port = serve(Some((status, body))).await;
        let seen = scrapes.of(&pod(), port, now()).await;
        assert!(reason(&seen).contains(expected), "{}", reason(&seen));
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let seen = scrapes.of(&pod(), port, now()).await;
    assert!(reason(&seen).contains("does not answer"), "{}", reason(&seen));
    assert!(!scrapes.answered("u"));
}

#[tokio::test]
async fn a_silent_pod_is_given_up_in_time() {
    let port = serve(None).await;
    let since = Instant::now();
    let seen = Scrapes::default().of(&pod(), port, now()).await;
    assert!(reason(&seen).contains("within"), "{}", reason(&seen));
    assert!(since.elapsed() < DEADLINE * 2);
}

#[tokio::test]
async fn a_gap_of_a_pod_that_answered_stays_a_gap() {
    let scrapes = Scrapes::default();
    let port = serve(Some(("200 OK", PAGE.to_owned()))).await;
    assert!(scrapes.of(&pod(), port, now()).await.is_known());
    tokio::time::sleep(FRESH).await;
    let port = serve(Some(("500 Internal Server Error", String::new()))).await;
    assert!(
        !scrapes.of(&pod(), port, now()).await.is_known(),
        "the last page is not repeated"
    );
    assert!(scrapes.answered("u"));
}
