//! One check run a commit, and one issue for a regression that stays.

use regressd::domain::CommitSha;
use regressd::fake_github::TroubleKind;
use regressd::github::{
    Annotation, CheckRun, CheckState, Conclusion, IssueChange, MemoryLeases, TrackingIssue, pull_requests_of,
    put_check_run, put_tracking_issue, regressd_marker,
};

use crate::set_up::{HEAD, NAME, first_write, start};

fn check(annotations: usize, state: CheckState) -> CheckRun {
    let remark = |index| Annotation {
        path: ".github".to_owned(),
        start_line: 1,
        end_line: 1,
        annotation_level: "failure".to_owned(),
        title: format!("bench {index}"),
        message: "slower".to_owned(),
    };
    CheckRun {
        head: HEAD.to_owned(),
        name: "benchmarks".to_owned(),
        state,
        title: "1 of 5 is slower".to_owned(),
        summary: "text".to_owned(),
        details_url: Some("https://r.example/runs/1".to_owned()),
        annotations: (0..annotations).map(remark).collect(),
    }
}

#[tokio::test]
async fn one_run_updated_in_place_with_batches_of_annotations() {
    let (fake, repository) = start().await;
    let leases = MemoryLeases::default();
    let pending = check(0, CheckState::InProgress);
    let first = put_check_run(&repository, &leases, &pending).await.unwrap();
    assert_eq!(fake.checks(NAME)[0].status, "in_progress");
    let judged = check(120, CheckState::Completed(Conclusion::Failure));
    assert_eq!(put_check_run(&repository, &leases, &judged).await.unwrap(), first);
    assert_eq!(
        put_check_run(&repository, &leases, &judged).await.unwrap(),
        first,
        "judged again"
    );
    let checks = fake.checks(NAME);
    assert_eq!(checks.len(), 1);
    assert_eq!(
        (checks[0].conclusion.as_deref(), checks[0].annotations.len()),
        (Some("failure"), 120)
    );
    let again = put_check_run(&repository, &leases, &pending).await.unwrap();
    assert_eq!(
        (again, fake.checks(NAME)[0].status.as_str()),
        (first, "in_progress"),
        "asked to run again"
    );
}

#[tokio::test]
async fn a_lost_answer_adds_no_annotation_twice() {
    let (fake, repository) = start().await;
    let leases = MemoryLeases::default();
    let judged = check(70, CheckState::Completed(Conclusion::Failure));
    pull_requests_of(&repository, &CommitSha::new(HEAD).unwrap())
        .await
        .unwrap();
    fake.set_trouble(first_write(TroubleKind::LostAnswers));
    put_check_run(&repository, &leases, &judged).await.unwrap_err();
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    put_check_run(&repository, &leases, &judged).await.unwrap();
    assert_eq!(fake.checks(NAME).len(), 1);
    assert_eq!(fake.checks(NAME)[0].annotations.len(), 70);
}

#[tokio::test]
async fn an_issue_is_opened_kept_and_closed() {
    let (fake, repository) = start().await;
    let leases = MemoryLeases::default();
    let issue = |open, text: &str| TrackingIssue {
        marker: regressd_marker("issue", &["main"]),
        title: "sort is slower".to_owned(),
        text: text.to_owned(),
        open,
    };
    let put = async |wanted| put_tracking_issue(&repository, &leases, &wanted).await.unwrap();
    assert_eq!(put(issue(false, "gone")).await, IssueChange::Nothing);
    let IssueChange::Opened(number) = put(issue(true, "since a")).await else {
        panic!()
    };
    assert_eq!(put(issue(true, "since b")).await, IssueChange::Updated(number));
    assert_eq!(put(issue(false, "gone")).await, IssueChange::Closed(number));
    let issues = fake.issues(NAME);
    assert_eq!((issues.len(), issues[0].state.as_str()), (1, "closed"));
    let IssueChange::Opened(next) = put(issue(true, "since c")).await else {
        panic!()
    };
    assert_ne!(next, number, "a closed one is history");
}
