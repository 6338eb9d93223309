//! How outcomes are shown: a model that serializes, and what renders it.
