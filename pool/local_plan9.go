package pool

// localErrors is empty: Plan 9 has error strings, not numbers.
var localErrors []error
