package main

import (
	"fmt"
	"go/token"
	"go/types"
	"regexp"
	"strings"

	"golang.org/x/tools/go/packages"
)

var inlineCode = regexp.MustCompile("`([^`]+)`")

// deadGoNames finds names in the last column of a glossary that the packages of the root
// module do not have. Name, Type.Field and Type.Method are of package proxylite, as is
// Service.Method, where the service is a field of Client; other packages are named.
func deadGoNames(root, file, text string) (problems []string, err error) {
	loaded, err := packages.Load(&packages.Config{Mode: packages.LoadTypes, Dir: root}, "./...")
	if err != nil {
		return nil, err
	}
	byName := map[string]*types.Package{}
	for _, p := range loaded {
		if p.Name != "main" && p.Types != nil {
			byName[p.Name] = p.Types
		}
	}
	for i, line := range strings.Split(text, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for _, m := range inlineCode.FindAllStringSubmatch(cells[len(cells)-1], -1) {
			if strings.HasPrefix(line, "|") && !goName(byName, m[1]) {
				problems = append(problems, fmt.Sprintf("%s:%d: there is no %s", file, i+1, m[1]))
			}
		}
	}
	return problems, nil
}

func goName(byName map[string]*types.Package, name string) bool {
	parts := strings.Split(name, ".")
	if p := byName[parts[0]]; p != nil {
		return len(parts) > 1 && has(p, p.Scope().Lookup(parts[1]), parts[2:])
	}
	p := byName["proxylite"]
	client := p.Scope().Lookup("Client")
	return has(p, p.Scope().Lookup(parts[0]), parts[1:]) || has(p, client, parts)
}

// has tells whether an exported object has a field or method, and that one the next.
func has(p *types.Package, obj types.Object, path []string) bool {
	if obj == nil || !token.IsExported(obj.Name()) {
		return false
	}
	if len(path) == 0 {
		return true
	}
	next, _, _ := types.LookupFieldOrMethod(obj.Type(), true, p, path[0])
	return has(p, next, path[1:])
}
