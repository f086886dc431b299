import dstack from "dstack-toolkit/hardhat";
import { defineConfig } from "hardhat/config";

export default defineConfig({ plugins: [dstack] });
