"""Order of samples, patches, prefetching, data sets."""
