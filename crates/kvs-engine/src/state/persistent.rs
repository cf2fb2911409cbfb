//! Maps that are cloned in O(1).

use rpds::RedBlackTreeMapSync;

/// An ordered map with O(1) clones. A change copies the path to the entry if a clone exists.
pub(crate) type Map<K, V> = RedBlackTreeMapSync<K, V>;
