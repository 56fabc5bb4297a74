//! What is saved in a wiki comes to its remote.

use testkit::Linked;

#[tokio::test]
async fn a_save_is_on_the_remote_within_seconds_and_leaves_the_queue_only_then() {
    let linked = Linked::start().await;
    linked.synced().await;
    linked.create("roses", "# Roses\n").await;
    assert_eq!(linked.link().await["queue_length"], 1);
    let link = linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
    assert_eq!(link["verified_revision"], linked.head());
    assert_eq!(link["last_error"], serde_json::Value::Null);
}
