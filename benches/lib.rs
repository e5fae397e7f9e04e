//! What the benchmarks of Larder share.
