package main

import (
	"bytes"
	"encoding/json"
)

// The types the SDK decodes into, as far as a server can get them wrong. Fields of no interest are left out: Go ignores
// what it does not know, and fails on a number where it expects a text.

type object = map[string]any

type page[item any] struct {
	Items    []item `json:"items"`
	Total    int    `json:"total"`
	Page     int    `json:"page"`
	PageSize int    `json:"page_size"`
	Pages    int    `json:"pages"`
}

type cvmInfo struct {
	ID       string  `json:"id"`
	Name     string  `json:"name"`
	AppID    *string `json:"app_id,omitempty"`
	VMUUID   *string `json:"vm_uuid,omitempty"`
	Resource struct {
		InstanceType *string  `json:"instance_type,omitempty"`
		VCPU         *int     `json:"vcpu,omitempty"`
		MemoryInGB   *float64 `json:"memory_in_gb,omitempty"`
		DiskInGB     *int     `json:"disk_in_gb,omitempty"`
	} `json:"resource"`
	NodeInfo *struct {
		ObjectType string  `json:"object_type"`
		ID         *int    `json:"id,omitempty"`
		Name       *string `json:"name,omitempty"`
		DeviceID   *string `json:"device_id,omitempty"`
	} `json:"node_info,omitempty"`
	KMSType *string `json:"kms_type,omitempty"`
	KMSInfo *struct {
		ChainID            *int    `json:"chain_id,omitempty"`
		DstackKmsAddress   *string `json:"dstack_kms_address,omitempty"`
		DstackAppAddress   *string `json:"dstack_app_address,omitempty"`
		EncryptedEnvPubkey *string `json:"encrypted_env_pubkey,omitempty"`
	} `json:"kms_info,omitempty"`
	Status      string   `json:"status"`
	InProgress  bool     `json:"in_progress"`
	ComposeHash *string  `json:"compose_hash,omitempty"`
	Listed      bool     `json:"listed"`
	CreatedAt   *string  `json:"created_at,omitempty"`
	Features    []string `json:"features,omitempty"`
	Runner      *string  `json:"runner,omitempty"`
	Manifest    *string  `json:"manifest_version,omitempty"`
}

type action struct {
	ID     any    `json:"id,omitempty"`
	Name   string `json:"name,omitempty"`
	Status string `json:"status,omitempty"`
}

type visibility struct {
	PublicSysinfo *bool `json:"public_sysinfo,omitempty"`
	PublicLogs    *bool `json:"public_logs,omitempty"`
	PublicTcbinfo *bool `json:"public_tcbinfo,omitempty"`
}

type kmsContract struct {
	ID              string  `json:"id"`
	Slug            *string `json:"slug,omitempty"`
	ContractAddress string  `json:"contract_address"`
	ChainID         int     `json:"chain_id"`
	NodeCount       int     `json:"node_count"`
}

type allowlist struct {
	IsOnChainKMS   bool    `json:"is_onchain_kms"`
	AllowAnyDevice *bool   `json:"allow_any_device,omitempty"`
	ChainID        *int    `json:"chain_id,omitempty"`
	AppContract    *string `json:"app_contract_address,omitempty"`
	Devices        []struct {
		DeviceID       string   `json:"device_id"`
		NodeName       *string  `json:"node_name"`
		CVMIDs         []string `json:"cvm_ids"`
		AllowedOnChain bool     `json:"allowed_onchain"`
		Status         string   `json:"status"`
	} `json:"devices"`
}

func decode[value any](body []byte) (any, *failure) {
	var v value
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&v); err != nil {
		return nil, broken(err)
	}
	return v, nil
}

func text(body []byte) (any, *failure) { return string(body), nil }

func nothing([]byte) (any, *failure) { return nil, nil }
