package main

import "strings"

// The first that occurs wins: Edge says that it is Chrome and Safari too.
var (
	browsers = [][2]string{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
		{"curl/", "curl"},
	}
	systems = [][2]string{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"Windows", "Windows"},
		{"CrOS", "ChromeOS"},
		{"Macintosh", "macOS"},
		{"Linux", "Linux"},
	}
)

// describe makes of a User-Agent something that its owner recognises. It is what
// the client says of itself: good for a list, not for a decision.
func describe(agent string) (name string, phone bool) {
	browser, system := first(browsers, agent), first(systems, agent)
	switch {
	case browser == "" && system == "":
		name = "An unknown device"
	case browser == "":
		name = system
	case system == "":
		name = browser
	default:
		name = browser + " on " + system
	}
	return name, system == "iPhone" || system == "Android" && strings.Contains(agent, "Mobile")
}

func first(names [][2]string, agent string) string {
	for _, n := range names {
		if strings.Contains(agent, n[0]) {
			return n[1]
		}
	}
	return ""
}
