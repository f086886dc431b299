package main

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// What a caller passes, by the JavaScript SDK's names.
type parameters map[string]any

type request struct {
	method, path, version, contentType string
	body                               []byte
	headers                            map[string]string
	read                               func([]byte) (any, *failure)
}

type shape func(parameters) request

var shapes = map[string]shape{
	"getCurrentUser":        fixed("GET", "/auth/me", decode[object]),
	"getAvailableNodes":     fixed("GET", "/teepods/available", decode[object]),
	"getCvmList":            fixed("GET", "/cvms/paginated", decode[page[cvmInfo]]),
	"getAppList":            fixed("GET", "/apps", decode[object]),
	"getAppFilterOptions":   fixed("GET", "/apps/filter-options", decode[object]),
	"getOsImages":           fixed("GET", "/os-images", decode[object]),
	"listWorkspaces":        fixed("GET", "/workspaces", decode[object]),
	"listSshKeys":           fixed("GET", "/user/ssh-keys", decode[[]object]),
	"nextAppIds":            fixed("GET", "/kms/phala/next_app_id", decode[object]),
	"listKmsContracts":      fixed("GET", "/kms", decode[page[kmsContract]]),
	"getCvmCreateResources": fixed("GET", "/teepods/cvm-create-resources", decode[object]),
	"getKmsList":            pinned(fixed("GET", "/kms", decode[page[object]])),
	"getKmsInfo": pinned(func(p parameters) request {
		return get("/kms/"+p.text("kms_id"), decode[object])
	}),
	"getAppEnvEncryptPubKey": pinned(func(p parameters) request {
		return get("/kms/"+p.text("kms")+"/pubkey/"+p.text("app_id"), decode[object])
	}),
	"getKmsOnChainDetail": func(p parameters) request { return get("/kms/on-chain/"+p.text("chain"), decode[object]) },
	"getWorkspace":        func(p parameters) request { return get("/workspaces/"+p.text("teamSlug"), decode[object]) },
	"getWorkspaceNodes": func(p parameters) request {
		return get("/workspaces/"+p.text("teamSlug")+"/nodes", decode[page[object]])
	},
	"getWorkspaceQuotas": func(p parameters) request {
		return get("/workspaces/"+p.text("teamSlug")+"/quotas", decode[object])
	},

	"getCvmInfo":            ofCvm("GET", "", nil, decode[cvmInfo]),
	"getCvmState":           ofCvm("GET", "/state", nil, decode[object]),
	"getCvmStats":           ofCvm("GET", "/stats", nil, decode[object]),
	"getCvmNetwork":         ofCvm("GET", "/network", nil, decode[object]),
	"getCvmContainersStats": ofCvm("GET", "/composition", nil, decode[object]),
	"getCvmAttestation":     ofCvm("GET", "/attestation", nil, decode[object]),
	"getCvmUserConfig":      ofCvm("GET", "/user_config", nil, decode[object]),
	"getCvmComposeFile":     ofCvm("GET", "/compose_file", nil, decode[object]),
	"getCvmDockerCompose":   ofCvm("GET", "/docker-compose.yml", nil, text),
	"getCvmPreLaunchScript": ofCvm("GET", "/pre-launch-script", nil, text),
	"getAvailableOsImages":  ofCvm("GET", "/available-os-images", nil, decode[[]object]),

	"startCvm":    ofCvm("POST", "/start", nil, decode[action]),
	"stopCvm":     ofCvm("POST", "/stop", nil, decode[action]),
	"shutdownCvm": ofCvm("POST", "/shutdown", nil, decode[action]),
	"restartCvm": ofCvm("POST", "/restart", func(p parameters) any {
		return map[string]bool{"force": p["force"] == true}
	}, decode[action]),
	"deleteCvm": ofCvm("DELETE", "", nil, nothing),
	// A Go caller without options sends the four letters "null".
	"replicateCvm": ofCvm("POST", "/replicas", func(p parameters) any {
		if p["node_id"] == nil {
			return json.RawMessage("null")
		}
		return p.only("node_id")
	}, decode[action]),

	"updateDockerCompose":   rawText("docker-compose", "docker_compose_file", "text/yaml"),
	"updatePreLaunchScript": rawText("pre-launch-script", "pre_launch_script", "text/plain"),
	"updateCvmEnvs": ofCvm("PATCH", "/envs",
		fields("encrypted_env", "env_keys", "compose_hash", "transaction_hash"), decode[object]),
	"patchCvm": ofCvm("PATCH", "", func(p parameters) any {
		body := p.without("id")
		if image, ok := body["image"]; ok {
			delete(body, "image")
			body["os_image_name"] = image
		}
		return body
	}, decode[object]),
	"confirmCvmPatch": ofCvm("PATCH", "", func(p parameters) any {
		return map[string]any{"compose_hash": p["composeHash"], "transaction_hash": p["transactionHash"]}
	}, decode[action]),
	"updateCvmResources": ofCvm("PATCH", "/resources",
		fields("vcpu", "memory", "disk_size", "instance_type", "allow_restart"), nothing),
	"updateCvmVisibility": ofCvm("PATCH", "/visibility",
		fields("public_sysinfo", "public_logs", "public_tcbinfo"), decode[visibility]),
	"updateOsImage": ofCvm("PATCH", "/os-image", fields("os_image_name"), nothing),
	"provisionCvmComposeFileUpdate": ofCvm("POST", "/compose_file/provision", func(p parameters) any {
		document := parameters(p.object("app_compose")).only("docker_compose_file", "gateway_enabled",
			"pre_launch_script", "encrypted_env", "allowed_envs", "public_logs", "public_sysinfo", "public_tcbinfo",
			"secure_time")
		document["name"] = p.object("app_compose")["name"]
		if flag, ok := p["update_env_vars"]; ok {
			document["update_env_vars"] = flag
		}
		return document
	}, decode[object]),
	"commitCvmComposeFileUpdate": ofCvm("PATCH", "/compose_file",
		fields("compose_hash", "encrypted_env", "env_keys", "update_env_vars"), nothing),
	"refreshCvmInstanceId": ofCvm("PATCH", "/instance-id", fields("overwrite", "dry_run"), decode[object]),
	"refreshCvmInstanceIds": func(p parameters) request {
		return withJSON("PATCH", "/cvms/instance-ids",
			p.only("cvm_ids", "running_only", "missing_only", "overwrite", "limit", "dry_run"), decode[object])
	},
	"checkCvmIsAllowed": func(p parameters) request {
		return withJSON("POST", "/cvms/"+cvmID(p.text("cvm_id"))+"/is-allowed",
			p.only("compose_hash", "node_id", "device_id"), decode[object])
	},

	"provisionCvm": func(p parameters) request {
		body := p.without("kms", "node_id")
		if kms, ok := p["kms"]; ok {
			body["kms_type"] = kms
		}
		if node, ok := p["node_id"]; ok {
			body["teepod_id"] = node
		}
		return withJSON("POST", "/cvms/provision", body, decode[object])
	},
	"commitCvmProvision": func(p parameters) request {
		return withJSON("POST", "/cvms",
			p.only("app_id", "compose_hash", "transaction_hash", "encrypted_env", "env_keys"), decode[action])
	},
	"getCvmStatusBatch": func(p parameters) request {
		return withJSON("POST", "/status/batch", map[string]any{"vm_uuids": p["vmUuids"]}, decode[map[string]object])
	},

	"getAppInfo":            ofApp("", decode[object]),
	"getAppCvms":            ofApp("/cvms", decode[[]cvmInfo]),
	"getAppRevisions":       ofApp("/revisions", decode[object]),
	"getAppAttestation":     ofApp("/attestations", decode[object]),
	"getAppDeviceAllowlist": ofApp("/device-allowlist", decode[allowlist]),
	"getAppRevisionDetail": func(p parameters) request {
		return get("/apps/"+p.text("appId")+"/revisions/"+p.text("revisionId"), decode[object])
	},
	"createAppInstance": func(p parameters) request {
		return withJSON("POST", "/apps/"+p.text("appId")+"/instances", p.only("name", "node_id",
			"docker_compose_file", "pre_launch_script", "encrypted_env", "compose_hash", "token", "transaction_hash"),
			decode[cvmInfo])
	},
	"checkAppIsAllowed": func(p parameters) request {
		return withJSON("POST", "/apps/"+p.text("appId")+"/is-allowed",
			p.only("compose_hash", "node_id", "device_id", "chain_id"), decode[object])
	},
	"checkAppCvmsIsAllowed": func(p parameters) request {
		return withJSON("POST", "/apps/"+p.text("appId")+"/cvms/is-allowed", map[string]any{}, decode[object])
	},
}

var (
	uuid    = regexp.MustCompile(`(?i)^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	bareApp = regexp.MustCompile(`(?i)^[0-9a-f]{40}$`)
)

// How a CVM is written in a path: dashes of a version 4 UUID go, a bare app id gets its prefix.
func cvmID(id string) string {
	switch {
	case uuid.MatchString(id):
		return strings.ReplaceAll(id, "-", "")
	case bareApp.MatchString(id):
		return "app_" + id
	default:
		return id
	}
}

func (p parameters) text(name string) string {
	text, _ := p[name].(string)
	return text
}

func (p parameters) object(name string) map[string]any {
	object, _ := p[name].(map[string]any)
	return object
}

// Absent and null fields are left out, as by omitempty.
func (p parameters) only(names ...string) map[string]any {
	chosen := map[string]any{}
	for _, name := range names {
		if value := p[name]; value != nil {
			chosen[name] = value
		}
	}
	return chosen
}

func (p parameters) without(names ...string) map[string]any {
	rest := map[string]any{}
	for name, value := range p {
		if value != nil {
			rest[name] = value
		}
	}
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

func fields(names ...string) func(parameters) any {
	return func(p parameters) any { return p.only(names...) }
}

func get(path string, read func([]byte) (any, *failure)) request {
	return request{method: "GET", path: path, read: read}
}

func withJSON(method, path string, body any, read func([]byte) (any, *failure)) request {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return request{method: method, path: path, contentType: "application/json", body: text, read: read}
}

func fixed(method, path string, read func([]byte) (any, *failure)) shape {
	return func(p parameters) request {
		query := url.Values{}
		for _, name := range []string{"page", "page_size"} {
			if value, ok := p[name]; ok {
				text, _ := json.Marshal(value)
				query.Set(name, string(text))
			}
		}
		full := path
		if len(query) > 0 {
			full += "?" + query.Encode()
		}
		return request{method: method, path: full, read: read}
	}
}

// Calls that use the version with KMSs as nodes, even if the client is set to another version.
func pinned(shape shape) shape {
	return func(p parameters) request {
		request := shape(p)
		request.version = "2026-05-22"
		return request
	}
}

func ofCvm(method, below string, body func(parameters) any, read func([]byte) (any, *failure)) shape {
	return func(p parameters) request {
		id := p.text("id")
		if id == "" {
			id = p.text("uuid")
		}
		path := "/cvms/" + cvmID(id) + below
		if body == nil {
			return request{method: method, path: path, read: read}
		}
		return withJSON(method, path, body(p), read)
	}
}

func ofApp(below string, read func([]byte) (any, *failure)) shape {
	return func(p parameters) request { return get("/apps/"+p.text("appId")+below, read) }
}

func rawText(below, field, contentType string) shape {
	return func(p parameters) request {
		headers := map[string]string{}
		for header, name := range map[string]string{
			"X-Compose-Hash": "compose_hash", "X-Transaction-Hash": "transaction_hash",
		} {
			if value := p.text(name); value != "" {
				headers[header] = value
			}
		}
		return request{
			method: "PATCH", path: "/cvms/" + cvmID(p.text("id")) + "/" + below,
			contentType: contentType, body: []byte(p.text(field)), headers: headers, read: decode[object],
		}
	}
}
