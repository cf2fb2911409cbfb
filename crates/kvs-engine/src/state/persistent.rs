//! Maps that are cloned in O(1).

use rpds::RedBlackTreeMapSync;

/// An ordered map with a clone in O(1). A change copies the path to it, if a clone is left.
pub(crate) type Map<K, V> = RedBlackTreeMapSync<K, V>;
