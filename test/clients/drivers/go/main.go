// Command shapes sends requests in the exact shapes of the Go SDK of Phala Cloud, which the module proxy does not
// serve. It is our own program over net/http and stands for nothing but those shapes: paths, bodies, headers, versions
// and the types it decodes into. Retries and helpers of the SDK are not here.
//
// One request per line of stdin, one answer per line of stdout, as the drivers of the real clients do.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

const defaultVersion = "2026-06-23"

type call struct {
	ID         int             `json:"id"`
	Kind       string          `json:"kind"`
	Method     string          `json:"method"`
	Parameters json.RawMessage `json:"parameters"`
	APIKey     string          `json:"apiKey"`
	BaseURL    string          `json:"baseUrl"`
}

type failure struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Detail  any    `json:"detail,omitempty"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var c call
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			panic(err)
		}
		answer := map[string]any{"id": c.ID}
		if shape, known := shapes[c.Method]; !known || c.Kind != "api" {
			answer["missing"] = "no request shape for " + c.Method
		} else if value, err := send(c, shape); err != nil {
			answer["error"] = err
		} else {
			answer["value"] = value
		}
		if err := answers.Encode(answer); err != nil {
			panic(err)
		}
	}
}

func send(c call, shape shape) (any, *failure) {
	given := parameters{}
	var slug string
	if json.Unmarshal(c.Parameters, &slug) == nil {
		given["teamSlug"] = slug
	} else if len(c.Parameters) > 0 {
		if err := json.Unmarshal(c.Parameters, &given); err != nil {
			return nil, broken(err)
		}
	}
	wanted := shape(given)
	request, err := http.NewRequest(wanted.method, c.BaseURL+wanted.path, bytes.NewReader(wanted.body))
	if err != nil {
		return nil, broken(err)
	}
	version := defaultVersion
	if wanted.version != "" {
		version = wanted.version
	}
	request.Header.Set("X-API-Key", c.APIKey)
	request.Header.Set("X-Phala-Version", version)
	request.Header.Set("User-Agent", "phala-cloud-sdk-go/0.2.0")
	if wanted.contentType != "" {
		request.Header.Set("Content-Type", wanted.contentType)
	}
	for name, value := range wanted.headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, broken(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, broken(err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, refused(response.StatusCode, text)
	}
	return wanted.read(text)
}

func refused(status int, text []byte) *failure {
	f := &failure{Name: "APIError", Status: status}
	var body map[string]any
	if json.Unmarshal(text, &body) == nil {
		f.Message, _ = body["message"].(string)
		f.Code, _ = body["error_code"].(string)
		f.Detail = body
	}
	if f.Message == "" {
		f.Message = fmt.Sprintf("%d %s", status, text)
	}
	return f
}

func broken(err error) *failure {
	return &failure{Name: "Error", Message: err.Error()}
}
