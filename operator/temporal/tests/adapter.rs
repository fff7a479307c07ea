//! The adapter against a frontend on a real socket, without TLS.
mod support;

use std::time::Duration;

use fleet_core::{Class, QueueStats, Reason, TaskType};
use fleet_temporal::{ApiKey, Client, Error, Origin, Secret, Temporal as _, system_clock};
use support::{Frontend, client, endpoint, settings};
use temporalio_common::protos::temporal::api::taskqueue::v1::{PollerInfo, TaskQueueStats};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeTaskQueueResponse;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tonic::{Code, Status};

#[tokio::test]
async fn a_queue_is_asked_for_by_name_and_type_with_statistics_and_nothing_dear() {
    let frontend = Frontend::default();
    let mut stats = TaskQueueStats {
        approximate_backlog_count: 41,
        tasks_add_rate: 2.5,
        tasks_dispatch_rate: 2.0,
        rate_limiting_active: true,
        ..Default::default()
    };
    let age = stats.approximate_backlog_age.get_or_insert_default();
    (age.seconds, age.nanos) = (3, 500_000_000);
    *frontend.queue.lock().unwrap() = DescribeTaskQueueResponse {
        stats: Some(stats),
        pollers: vec![PollerInfo {
            identity: "pod-1".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let endpoint = endpoint(frontend.serve(None).await);
    let read = client()
        .describe_queue(&endpoint, "default", "orders", TaskType::Activity)
        .await
        .unwrap();
    let expected = QueueStats {
        backlog: 41,
        backlog_age_seconds: 3.5,
        add_rate: 2.5,
        dispatch_rate: 2.0,
        rate_limited: true,
    };
    assert_eq!(read.stats, Some(expected));
    assert_eq!(read.pollers[0].identity, "pod-1");
    let request = frontend.queue_requests.lock().unwrap()[0].clone();
    assert_eq!((request.namespace.as_str(), request.task_queue_type), ("default", 2));
    assert_eq!(request.task_queue.map(|queue| queue.name).as_deref(), Some("orders"));
    assert!(request.report_stats);
    #[allow(deprecated)] // the field that would move the call to the visibility limiter
    let reachability = request.report_task_reachability;
    assert!(!reachability);
    assert_eq!(
        frontend.calls.lock().unwrap()[0],
        ("DescribeTaskQueue".into(), None, Some("default".into()))
    );
}

#[tokio::test]
async fn an_unknown_temporal_namespace_has_its_own_reason_and_keeps_the_connection() {
    let frontend = Frontend::default();
    let (client, endpoint) = (client(), endpoint(frontend.serve(None).await));
    let error = client.describe_namespace(&endpoint, "nowhere").await.unwrap_err();
    assert_eq!(
        (error.class(), error.reason()),
        (Class::Invalid, Reason::TemporalNamespaceNotFound)
    );
    assert_eq!(client.connections(), 1);
    assert_eq!(
        client.describe_namespace(&endpoint, "default").await.unwrap().version,
        "1.31.2"
    );
}

#[tokio::test]
async fn statuses_have_a_class_a_reason_and_a_clean_text() {
    let frontend = Frontend::default();
    let (client, endpoint) = (client(), endpoint(frontend.serve(None).await));
    for (status, class, reason) in [
        (Status::unauthenticated("no"), Class::Denied, Reason::Unauthenticated),
        (Status::permission_denied("no"), Class::Denied, Reason::Unauthenticated),
        (
            Status::resource_exhausted("slow down"),
            Class::Throttled { after: None },
            Reason::SignalsUnknown,
        ),
        (Status::unavailable("away"), Class::Unavailable, Reason::Unreachable),
        (Status::internal("oops"), Class::Unavailable, Reason::Unreachable),
        (Status::unimplemented("what"), Class::Invalid, Reason::Unreachable),
        (
            Status::failed_precondition("stale"),
            Class::Conflict,
            Reason::Unreachable,
        ),
    ] {
        let spoilt = matches!(
            status.code(),
            Code::Unauthenticated | Code::PermissionDenied | Code::Unavailable
        );
        *frontend.failing.lock().unwrap() = Some(status.clone());
        let error = client
            .describe_queue(&endpoint, "default", "orders", TaskType::Workflow)
            .await
            .unwrap_err();
        assert_eq!((error.class(), error.reason()), (class, reason), "{status:?}");
        assert_eq!(
            client.connections(),
            usize::from(!spoilt),
            "a refused connection is given up: {status:?}"
        );
    }
    let long = format!("a\u{202e}b\n\u{1b}[31m  {}", "x".repeat(10_000));
    *frontend.failing.lock().unwrap() = Some(Status::internal(long));
    let error = client
        .describe_queue(&endpoint, "default", "orders", TaskType::Workflow)
        .await
        .unwrap_err();
    let Error::Status { text, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(text.chars().count(), 128);
    assert!(text.starts_with("a b [31m xxx") && text.ends_with("x…"), "{text}");
}

#[tokio::test]
async fn a_server_that_repeats_a_header_does_not_get_it_into_the_text() {
    let frontend = Frontend::default();
    let endpoint =
        endpoint(frontend.serve(None).await).with_headers([("x-token".to_owned(), Secret::new("canary-4711"))].into());
    *frontend.failing.lock().unwrap() = Some(Status::permission_denied("bad token canary-4711, really"));
    let error = client().describe_namespace(&endpoint, "default").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "DescribeNamespace failed: PermissionDenied: bad token [redacted], really"
    );
    assert!(!format!("{error:?} {endpoint:?}").contains("canary"));
}

#[tokio::test]
async fn what_proves_who_we_are_is_not_sent_without_tls() {
    let frontend = Frontend::default();
    let address = frontend.serve(None).await;
    for name in ["authorization", "Authorization"] {
        let header = (name.to_owned(), Secret::new("Bearer canary-4711"));
        let bearer = endpoint(address).with_headers([header].into());
        let error = client().describe_namespace(&bearer, "default").await.unwrap_err();
        assert_eq!(error, Error::InTheClear { name: name.into() });
        assert_eq!(error.class(), Class::Invalid);
        assert!(
            error.to_string().contains("tls: {}") && !error.to_string().contains("canary"),
            "{error}"
        );
    }
    assert!(frontend.calls.lock().unwrap().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn callers_share_one_connection_and_a_server_that_comes_back_is_found() {
    let frontend = Frontend::default();
    let (client, endpoint) = (client(), endpoint(frontend.serve(None).await));
    let calls = (0..20).map(|_| client.describe_namespace(&endpoint, "default"));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(client.connections(), 1);
    // A stranger with the same address gets no connection of ours.
    let stranger = endpoint
        .clone()
        .with_headers([("x".to_owned(), Secret::new("y"))].into());
    client.describe_namespace(&stranger, "default").await.unwrap();
    assert_eq!(client.connections(), 2);
}

#[tokio::test]
async fn refused_silent_and_nameless_servers_look_alike() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let deadline = Duration::from_millis(300);
    let mut settings = settings(deadline);
    settings.addresses.allow_loopback = true;
    let client = Client::new(settings, system_clock());
    for address in [closed.to_string(), "no-such-host.invalid:7233".into()] {
        let error = client
            .describe_namespace(&endpoint(&address), "default")
            .await
            .unwrap_err();
        assert_eq!(
            error,
            Error::Connect {
                address: address.clone()
            }
        );
        assert_eq!(
            (error.class(), error.reason()),
            (Class::Unavailable, Reason::Unreachable)
        );
    }
    // Accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = client
        .describe_namespace(&endpoint(silent.local_addr().unwrap()), "default")
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Unavailable, "{error}");
    assert_eq!(error.reason(), Reason::Unreachable, "{error}");
}

#[tokio::test]
async fn this_machine_is_refused_before_a_packet_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Client::new(settings(Duration::from_secs(5)), system_clock());
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ] {
        let error = client
            .describe_namespace(&endpoint(format!("{host}:{port}")), "default")
            .await
            .unwrap_err();
        assert_eq!(
            (error.class(), error.reason()),
            (Class::Invalid, Reason::AddressNotAllowed),
            "{host}: {error}"
        );
    }
    let error = client
        .describe_namespace(&endpoint("not an address"), "default")
        .await
        .unwrap_err();
    assert_eq!(
        (error.class(), error.reason()),
        (Class::Invalid, Reason::AddressNotAllowed)
    );
    let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(accepted.is_err(), "nobody came");
}

#[tokio::test]
async fn an_api_key_never_travels_in_plain_text() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut bytes)).await;
        bytes
    });
    let key = ApiKey::parse(&Origin::new("cloud", "key"), b"canary-api-key\n").unwrap();
    let mut settings = settings(Duration::from_secs(1));
    settings.addresses.allow_loopback = true;
    let client = Client::new(settings, system_clock());
    let error = client
        .describe_namespace(&endpoint(address).with_api_key(key), "default")
        .await
        .unwrap_err();
    assert!(!error.to_string().contains("canary"));
    let bytes = received.await.unwrap();
    assert_eq!(bytes.first(), Some(&22), "a TLS handshake record came, nothing else");
    assert!(!bytes.windows(6).any(|window| window == b"canary"));
}

#[tokio::test]
async fn an_answer_beyond_reason_is_refused_not_read() {
    let frontend = Frontend::default();
    let pollers = vec![
        PollerInfo {
            identity: "x".repeat(1024),
            ..Default::default()
        };
        6 * 1024
    ];
    *frontend.queue.lock().unwrap() = DescribeTaskQueueResponse {
        pollers,
        ..Default::default()
    };
    let endpoint = endpoint(frontend.serve(None).await);
    let error = client()
        .describe_queue(&endpoint, "default", "orders", TaskType::Workflow)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Invalid, "{error}");
}
