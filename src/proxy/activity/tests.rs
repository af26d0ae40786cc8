use super::*;
use tokio::time::timeout;

const LIMITS: Timeouts = Timeouts {
    header: Duration::from_secs(10),
    body_stall: Duration::from_secs(20),
    idle: Duration::from_secs(60),
    write_stall: Duration::from_secs(30),
    standing: Duration::from_secs(10),
    connect: Duration::from_secs(5),
    upstream_idle: Duration::from_secs(20),
    upstream_life: Duration::from_secs(600),
    ejection: Duration::from_secs(5),
    body_idle: Duration::from_secs(100),
    websocket_life: Duration::from_secs(24 * 3600),
};

async fn expires_after(activity: &Activity) -> Option<u64> {
    let start = Instant::now();
    timeout(Duration::from_secs(200), activity.expired(&LIMITS)).await.ok().map(|()| start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn p56_each_phase_has_its_limit() {
    let idle = Activity::new();
    assert_eq!(expires_after(&idle).await, Some(60), "idle");
    let head = Activity::new();
    head.read_some();
    assert_eq!(expires_after(&head).await, Some(10), "a slow head");
    let busy = Activity::new();
    busy.request_began();
    assert_eq!(expires_after(&busy).await, None, "a request has its own limits");
    let stalled = Activity::new();
    stalled.request_began();
    stalled.wrote(true);
    assert_eq!(expires_after(&stalled).await, Some(30), "a client that takes nothing");
    let silent = Activity::new();
    silent.request_began();
    silent.awaits_body(true);
    assert_eq!(expires_after(&silent).await, Some(20), "a client that sends nothing");
}

#[tokio::test(start_paused = true)]
async fn p56_an_answer_without_a_byte_for_too_long_is_given_up() {
    let activity = Activity::new();
    activity.request_began();
    tokio::time::sleep(Duration::from_secs(1000)).await;
    activity.answer_began();
    let alive = Arc::clone(&activity);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(70)).await;
        alive.wrote(false);
    });
    assert_eq!(expires_after(&activity).await, Some(170));
}

#[tokio::test(start_paused = true)]
async fn p56_a_body_outlives_its_answer() {
    let activity = Activity::new();
    activity.request_began();
    activity.upload_began();
    activity.answer_began();
    activity.request_ended();
    activity.read_some();
    assert_eq!(expires_after(&activity).await, Some(100), "no head has begun");
    activity.read_some();
    activity.awaits_body(true);
    assert_eq!(expires_after(&activity).await, Some(20), "a stall is a stall");
    activity.awaits_body(false);
    activity.upload_ended();
    assert_eq!(expires_after(&activity).await, Some(60), "idle again");
}

#[tokio::test(start_paused = true)]
async fn p56_a_head_that_trickles_is_not_given_more_time() {
    let activity = Activity::new();
    activity.read_some();
    tokio::time::sleep(Duration::from_secs(9)).await;
    activity.read_some();
    assert_eq!(expires_after(&activity).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn p56_a_head_that_begins_while_the_connection_is_watched_has_its_own_limit() {
    let activity = Activity::new();
    let late = Arc::clone(&activity);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(7)).await;
        late.read_some();
    });
    assert_eq!(expires_after(&activity).await, Some(17));
}

#[tokio::test(start_paused = true)]
async fn patience_starts_again_with_each_request() {
    let activity = Activity::new();
    tokio::time::sleep(Duration::from_secs(50)).await;
    activity.request_began();
    activity.wrote(true);
    activity.wrote(false);
    activity.request_ended();
    assert_eq!(expires_after(&activity).await, Some(60));
}
