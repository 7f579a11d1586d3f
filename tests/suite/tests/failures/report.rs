//! A failure is visible in the answer, the record and the pictures.

use atelier_suite::{Log, every_way, host, outcome::own_metadata};
use serde_json::json;

use crate::request;

#[test]
fn answer_record_and_picture_say_what_failed() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let log = Log::new(&host, "log");
        let mut request = request(&host);
        let script = json!({
            "process": [{ "error": "first" }],
            "after_step": [{ "error": "second", "step": 1 }],
        });
        log.script(&mut request, "probe-a", &script);
        log.script(&mut request, "probe-b", &json!({ "post_sample": [{ "panic": "third" }] }));
        let finished = host.draw(request);

        let failures: Vec<_> = finished.record.failures.iter().collect();
        let told = failures.iter().map(|f| (&*f.plugin, &*f.hook, f.step, &*f.message));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                ("probe-a", "process", 0, "first"),
                ("probe-a", "after_step", 1, "second"),
                ("probe-b", "post_sample", 0, "third"),
            ]
        );
        assert!(failures[2].place.contains(".rs:"), "{}", failures[2].place);

        let words = "\"probe-a at process, probe-a at after_step, probe-b at post_sample\"";
        for picture in &finished.pictures {
            let expected = format!("Plugin failures: {words}");
            assert!(picture.infotext.contains(&expected), "{}", picture.infotext);
            let own = own_metadata(picture.path.as_ref().expect("saved"));
            assert_eq!(own["failures"], json!(finished.record.failures), "{wiring:?}");
            assert_eq!(own["run"], json!(finished.record.id));
            let ids = own["plugins"].as_array().expect("a list").iter().map(|p| &p["id"]);
            assert_eq!(ids.collect::<Vec<_>>(), ["probe-a", "probe-b"]);
        }
        // The record on disk says the same.
        let kept = host.runner().records().get(&finished.record.id).expect("a record");
        assert_eq!(kept.failures, finished.record.failures);
    });
}

#[test]
fn a_failure_at_saving_is_in_the_file_that_is_saved() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = host.request();
        let script = json!({ "before_image_saved": [{ "error": "no stamp" }] });
        log.script(&mut request, "probe-a", &script);
        let finished = host.draw(request);
        let own = own_metadata(finished.pictures[0].path.as_ref().expect("saved"));
        assert_eq!(own["failures"][0]["message"], "no stamp", "{wiring:?}");
        assert_eq!(own["failures"][0]["hook"], "before_image_saved");
    });
}

#[test]
fn without_failures_nothing_speaks_of_them() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let finished = host.draw(host.request());
        assert!(!finished.pictures[0].infotext.contains("Plugin failures"));
        let own = own_metadata(finished.pictures[0].path.as_ref().expect("saved"));
        assert_eq!(own["failures"], json!([]));
    });
}
