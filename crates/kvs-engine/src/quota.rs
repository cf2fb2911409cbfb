//! Limits the scopes that each tenant's watches hold, over all connections and namespaces.
//!
//! A scope costs memory in an index, and a pattern also costs time at each version. Guests have
//! lower limits.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kvs_tree::Scope;

use crate::error::{EngineError, ErrorKind};
use crate::limits::{
    GUEST_PATTERNS_HELD, GUEST_SCOPE_BYTES_HELD, GUEST_SCOPES_HELD, PATTERNS_HELD,
    SCOPE_BYTES_HELD, SCOPES_HELD,
};
use crate::request::Tenant;

/// An amount of scopes, held or allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    scopes: usize,
    patterns: usize,
    bytes: usize,
}

impl Amount {
    fn of(scopes: &[Scope]) -> Self {
        let mut amount = Self {
            scopes: scopes.len(),
            ..Self::default()
        };
        for scope in scopes {
            amount.bytes += match scope {
                Scope::Key(key) | Scope::Directory(key) => key.as_str().len(),
                Scope::Glob(pattern) => {
                    amount.patterns += 1;
                    pattern.as_str().len()
                }
            };
        }
        amount
    }

    fn plus(self, other: Self) -> Self {
        Self {
            scopes: self.scopes + other.scopes,
            patterns: self.patterns + other.patterns,
            bytes: self.bytes + other.bytes,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            scopes: self.scopes.saturating_sub(other.scopes),
            patterns: self.patterns.saturating_sub(other.patterns),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

const MOST: Amount = Amount {
    scopes: SCOPES_HELD,
    patterns: PATTERNS_HELD,
    bytes: SCOPE_BYTES_HELD,
};

const GUEST_MOST: Amount = Amount {
    scopes: GUEST_SCOPES_HELD,
    patterns: GUEST_PATTERNS_HELD,
    bytes: GUEST_SCOPE_BYTES_HELD,
};

/// The scopes that each tenant's watches hold.
#[derive(Default)]
pub(crate) struct ScopeQuota(Mutex<HashMap<Tenant, Amount>>);

impl ScopeQuota {
    fn lock(&self) -> MutexGuard<'_, HashMap<Tenant, Amount>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges the scopes of a new watch.
    ///
    /// # Errors
    /// `Limit` if the tenant would exceed its quota.
    pub(crate) fn hold(&self, tenant: Tenant, scopes: &[Scope]) -> Result<(), EngineError> {
        let mut held = self.lock();
        let before = held.get(&tenant).copied().unwrap_or_default();
        let after = before.plus(Amount::of(scopes));
        let most = if tenant.is_guest() { GUEST_MOST } else { MOST };
        let all = [
            ("scopes", after.scopes, before.scopes, most.scopes),
            ("patterns", after.patterns, before.patterns, most.patterns),
            ("bytes of scopes", after.bytes, before.bytes, most.bytes),
        ];
        if let Some((what, after, before, most)) = all.into_iter().find(|one| one.1 > one.3) {
            let wanted = after - before;
            let message = format!(
                "cannot watch {wanted} more {what}: your watches hold {before} of at most {most}; end some of them first"
            );
            return Err(EngineError::new(ErrorKind::Limit, message));
        }
        held.insert(tenant, after);
        Ok(())
    }

    /// Undoes [`hold`](Self::hold).
    pub(crate) fn release(&self, tenant: Tenant, scopes: &[Scope]) {
        let mut held = self.lock();
        if let Some(amount) = held.get_mut(&tenant) {
            *amount = amount.minus(Amount::of(scopes));
            if *amount == Amount::default() {
                held.remove(&tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Principal;

    fn scopes(count: usize, of: impl Fn(usize) -> String) -> Vec<Scope> {
        (0..count).map(|n| Scope::parse(&of(n)).unwrap()).collect()
    }

    fn refusal(result: Result<(), EngineError>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit);
        error.message
    }

    #[test]
    fn a_guest_may_hold_so_many_scopes_and_fewer_patterns() {
        let quota = ScopeQuota::default();
        let keys = scopes(GUEST_SCOPES_HELD / 2, |n| format!("k{n}"));
        quota.hold(Tenant::Guest(Principal::Uid(7)), &keys).unwrap();
        quota.hold(Tenant::Guest(Principal::Uid(7)), &keys).unwrap();
        let one = scopes(1, |_| "a".to_owned());
        let message = refusal(quota.hold(Tenant::Guest(Principal::Uid(7)), &one));
        assert!(
            message.contains("your watches hold 8192 of at most 8192"),
            "{message}"
        );
        quota.hold(Tenant::Guest(Principal::Uid(8)), &one).unwrap();
        quota.hold(Tenant::Owner, &keys).unwrap();
        quota.release(Tenant::Guest(Principal::Uid(7)), &keys);
        let patterns = scopes(GUEST_PATTERNS_HELD, |n| format!("*.{n}"));
        quota
            .hold(Tenant::Guest(Principal::Uid(7)), &patterns)
            .unwrap();
        let message = refusal(quota.hold(
            Tenant::Guest(Principal::Uid(7)),
            &scopes(1, |_| "**".to_owned()),
        ));
        assert!(message.contains("1 more patterns"), "{message}");
        quota.hold(Tenant::Guest(Principal::Uid(7)), &one).unwrap();
        quota.release(Tenant::Guest(Principal::Uid(7)), &patterns);
        quota.release(Tenant::Guest(Principal::Uid(7)), &keys);
        quota.release(Tenant::Guest(Principal::Uid(7)), &one);
        quota.release(Tenant::Guest(Principal::Uid(8)), &one);
        quota.release(Tenant::Owner, &keys);
        assert!(quota.lock().is_empty());
    }

    #[test]
    fn long_scopes_are_counted_by_their_bytes_and_what_is_refused_is_not_held() {
        let quota = ScopeQuota::default();
        let long = scopes(100, |n| format!("{}.b{n:02}", "a".repeat(250)));
        let rounds = GUEST_SCOPE_BYTES_HELD / 25_400;
        for _ in 0..rounds {
            quota.hold(Tenant::Guest(Principal::Uid(7)), &long).unwrap();
        }
        let message = refusal(quota.hold(Tenant::Guest(Principal::Uid(7)), &long));
        assert!(message.contains("bytes of scopes"), "{message}");
        for _ in 0..rounds {
            quota.release(Tenant::Guest(Principal::Uid(7)), &long);
        }
        assert!(quota.lock().is_empty());
    }
}
