package rules

import "time"

// now is the time in tests of this package.
var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
