//! Maps results of calls to remotes to the machine's outcomes.

use crate::remote::{Failure as WireFailure, Pushed};
use crate::sync::{Failure, Outcome};

const NOT_ANSWERED: Failure = Failure::Transient { retry_after: None, answered: false };
const REFUSED: Failure = Failure::Transient { retry_after: None, answered: true };

/// The outcome of a failed call that reads from the remote.
pub(super) fn of_look(failure: &WireFailure) -> Outcome {
    failed(reading(failure), failure)
}

/// The outcome of a push.
pub(super) fn of_push(pushed: Result<Pushed, WireFailure>) -> Outcome {
    let failure = match pushed {
        Ok(Pushed::Updated | Pushed::UpToDate) => return Outcome::Pushed,
        Err(failure) => failure,
    };
    match failure {
        WireFailure::NonFastForward => Outcome::NonFastForward,
        WireFailure::Rejected { text } => Outcome::Rejected { text },
        _ if failure.may_have_landed() => Outcome::PushUnknown,
        // The remote refused, or was never reached: the push can't have landed.
        WireFailure::RefLocked { .. } | WireFailure::Transient { .. } => failed(REFUSED, &failure),
        _ => failed(reading(&failure), &failure),
    }
}

/// The outcome of a local failure.
pub(super) fn of_ours(error: &impl std::fmt::Display) -> Outcome {
    Outcome::Failed { failure: Failure::Local, text: error.to_string() }
}

fn failed(failure: Failure, said: &WireFailure) -> Outcome {
    Outcome::Failed { failure, text: said.to_string() }
}

fn reading(failure: &WireFailure) -> Failure {
    match failure {
        WireFailure::Auth { .. } => Failure::Auth,
        WireFailure::HostKey { .. } => Failure::HostKey,
        WireFailure::BlockedAddress(_) => Failure::BlockedAddress,
        WireFailure::Redirect { .. } => Failure::Redirected,
        WireFailure::TooLarge => Failure::TooLarge,
        WireFailure::RepositoryGone { .. } => Failure::Gone,
        WireFailure::Unsupported { .. } => Failure::Unsupported,
        WireFailure::RateLimited { retry_after } => {
            Failure::Transient { retry_after: *retry_after, answered: true }
        }
        WireFailure::GitMissing { .. }
        | WireFailure::GitTooOld { .. }
        | WireFailure::DiskFull { .. } => Failure::Local,
        _ => NOT_ANSWERED,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text() -> String {
        "said".to_owned()
    }

    #[test]
    fn a_push_that_nobody_heard_the_end_of_is_unknown_and_a_refused_one_isnt() {
        for unknown in [WireFailure::Timeout, WireFailure::Unknown { text: text() }] {
            assert_eq!(of_push(Err(unknown)), Outcome::PushUnknown);
        }
        assert_eq!(of_push(Err(WireFailure::NonFastForward)), Outcome::NonFastForward);
        let rejected = of_push(Err(WireFailure::Rejected { text: text() }));
        assert_eq!(rejected, Outcome::Rejected { text: text() });
        for refused in
            [WireFailure::RefLocked { text: text() }, WireFailure::Transient { text: text() }]
        {
            let outcome = of_push(Err(refused));
            assert!(matches!(outcome, Outcome::Failed { failure: REFUSED, .. }), "{outcome:?}");
        }
    }

    #[test]
    fn a_host_that_asks_to_come_later_is_heard() {
        let later = Some(Duration::from_secs(77));
        let outcome = of_look(&WireFailure::RateLimited { retry_after: later });
        let expected = Failure::Transient { retry_after: later, answered: true };
        assert!(matches!(outcome, Outcome::Failed { failure, .. } if failure == expected));
    }
}
