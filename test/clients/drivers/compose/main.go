// Command compose tells which compose files Docker Compose accepts. It loads each file with the loader of Docker
// Compose, as `docker compose config` does, but reads no other file: neither env files nor label files, and it refuses
// what includes or extends another file.
//
// One file per line of stdin, one verdict per line of stdout.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
	"go.yaml.in/yaml/v4"
)

type input struct {
	Name        string            `json:"name"`
	Text        string            `json:"text"`
	Environment map[string]string `json:"environment"`
}

type verdict struct {
	Name     string `json:"name"`
	Accepted bool   `json:"accepted"`
	Error    string `json:"error,omitempty"`
	// The value of an accepted file as its YAML parser reads it, before any rule of Docker Compose. Left out if that
	// parser alone cannot read it.
	Value any `json:"value,omitempty"`
}

func main() {
	logrus.SetOutput(io.Discard)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<26)
	verdicts := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var file input
		if err := json.Unmarshal(lines.Bytes(), &file); err != nil {
			panic(err)
		}
		answer := verdict{Name: file.Name, Accepted: true}
		if err := load(file); err != nil {
			answer = verdict{Name: file.Name, Error: err.Error()}
		} else {
			answer.Value = read(file.Text)
		}
		if err := verdicts.Encode(answer); err != nil {
			panic(err)
		}
	}
	if err := lines.Err(); err != nil {
		panic(err)
	}
}

// read returns nil for what the parser alone cannot read, such as a merge key of an anchored list, which the loader
// resolves by itself, and for what JSON cannot hold.
func read(text string) any {
	var value any
	if yaml.Unmarshal([]byte(text), &value) != nil {
		return nil
	}
	if _, err := json.Marshal(value); err != nil {
		return nil
	}
	return value
}

func load(file input) (err error) {
	// For some invalid files, the loader panics. The command `docker compose` would end there too.
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	environment := types.Mapping{}
	for name, value := range file.Environment {
		environment[name] = value
	}
	details := types.ConfigDetails{
		WorkingDir:  "/project",
		Environment: environment,
		ConfigFiles: []types.ConfigFile{{Filename: "/project/docker-compose.yaml", Content: []byte(file.Text)}},
	}
	var named struct {
		Name string `yaml:"name"`
	}
	if err := yaml.Unmarshal([]byte(file.Text), &named); err != nil {
		return err
	}
	_, err = loader.LoadWithContext(context.Background(), details, func(options *loader.Options) {
		if named.Name == "" {
			options.SetProjectName("project", false) // the command takes the folder's name
		}
		options.SkipResolveEnvironment = true
		options.SkipResolveLabels = true
		options.ResourceLoaders = []loader.ResourceLoader{noOtherFile{}}
	})
	return err
}

// noOtherFile refuses every file that a compose file includes or extends.
type noOtherFile struct{}

func (noOtherFile) Accept(string) bool { return true }

func (noOtherFile) Load(_ context.Context, path string) (string, error) {
	return "", fmt.Errorf("another file: %s", path)
}

func (noOtherFile) Dir(path string) string { return path }
