package cli

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
)

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of the command, of the SDK and of Go",
		Args:  arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			type part struct {
				Name    string `json:"name"`
				Version string `json:"version"`
			}
			command, revision := a.version, ""
			if info, ok := debug.ReadBuildInfo(); ok {
				command = cmp.Or(command, info.Main.Version)
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = s.Value
					}
				}
			}
			parts := []part{{"proxylite", command}, {"sdk", proxylite.Version}, {"go", runtime.Version()}, {"platform", runtime.GOOS + "/" + runtime.GOARCH}}
			if revision != "" {
				parts = append(parts, part{"revision", revision})
			}
			return show(a, []column[part]{
				{name: "name", value: func(x part) any { return x.Name }},
				{name: "version", value: func(x part) any { return x.Version }},
			}, all(parts))
		},
	}
}
