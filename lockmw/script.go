package lockmw

import (
	_ "embed" // for the scripts
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed grammar.lua
	grammarSource string
	//go:embed acquire.lua
	acquireSource string
	//go:embed queue.lua
	queueSource string
	//go:embed renew.lua
	renewSource string
	//go:embed free.lua
	freeSource string
	//go:embed release.lua
	releaseSource string
	//go:embed force.lua
	forceSource string
	//go:embed inspect.lua
	inspectSource string
	//go:embed vote.lua
	voteSource string
	//go:embed fence.lua
	fenceSource string
	//go:embed share.lua
	shareSource string
	//go:embed share_renew.lua
	shareRenewSource string
	//go:embed share_release.lua
	shareReleaseSource string
	//go:embed share_force.lua
	shareForceSource string
)

func newScript(source string) *redis.Script { return redis.NewScriptServerSHA(withGrammar(source)) }

// withGrammar puts the constants of grammar.lua before source, and those of its
// functions that source calls, directly or not. Redis creates each function in
// each call of a script: all of them would make a short script a tenth slower.
func withGrammar(source string) string {
	const function = "local function "
	parts := strings.Split(grammarSource, function)
	for i := len(parts) - 1; i > 0; i-- {
		name, _, _ := strings.Cut(parts[i], "(")
		if strings.Contains(source, name+"(") {
			source = function + parts[i] + source
		}
	}
	return parts[0] + source
}
