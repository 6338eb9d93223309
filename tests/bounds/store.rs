//! A store that gives more than was asked for.
