import { task } from "hardhat/config";
import { optional, withExample } from "../options.ts";

export const upTasks = [
  task(
    ["dstack", "up"],
    withExample(
      "Starts a local world: chain, contracts and mock cloud, for the official clients",
      "up --state world.sqlite --admin",
    ),
  )
    .addOption(optional("chainPort", "Port of the chain's RPC; 0 takes a free one (default: 8545)"))
    .addOption(optional("cloudPort", "Port of the cloud API; 0 takes a free one (default: 4000)"))
    .addOption(optional("state", "File that keeps the world across restarts (default: in memory)"))
    .addOption(optional("fork", "RPC URL of Base, to start the chain as its fork"))
    .addOption(optional("chainRpc", "RPC URL of an existing chain, to start none; needs --kms"))
    .addOption(optional("kms", "Address of the DstackKms on that chain"))
    .addOption(optional("allowedHosts", "Further host names both servers answer to, separated by commas"))
    .addOption(
      optional(
        "allowedOrigins",
        "Origins of web pages that may call both servers, separated by commas (default: none)",
      ),
    )
    .addFlag({ name: "deviceLogin", description: "Let `phala login` have an API key, without anyone's approval" })
    .addFlag({ name: "privateWebhooks", description: "Let webhooks call private and link-local addresses too" })
    .addFlag({ name: "admin", description: "Open the admin endpoints: clock, faults, snapshots" })
    .addFlag({ name: "json", description: "Print one JSON object once everything is up" })
    .setAction(() => import("../tasks/up.ts"))
    .build(),
];
