import { join } from "node:path";
import { expect } from "chai";
import { cacheDirectory } from "../../../../src/files/cache-directory.ts";

describe("cacheDirectory", () => {
  const home = join("/", "people", "ada");

  it("follows the convention of each platform", () => {
    expect(cacheDirectory({ platform: "linux", env: {}, home })).to.equal(join(home, ".cache", "dstack-toolkit"));
    expect(cacheDirectory({ platform: "darwin", env: { XDG_CACHE_HOME: "/x" }, home })).to.equal(
      join(home, "Library", "Caches", "dstack-toolkit"),
    );
    const local = join(home, "Local");
    expect(cacheDirectory({ platform: "win32", env: { LOCALAPPDATA: local }, home })).to.equal(
      join(local, "dstack-toolkit", "Cache"),
    );
    expect(cacheDirectory({ platform: "win32", env: {}, home })).to.equal(
      join(home, "AppData", "Local", "dstack-toolkit", "Cache"),
    );
  });

  it("is below XDG_CACHE_HOME, unless that is a relative path", () => {
    const named = join("/", "var", "caches");
    expect(cacheDirectory({ platform: "linux", env: { XDG_CACHE_HOME: named }, home })).to.equal(
      join(named, "dstack-toolkit"),
    );
    for (const invalid of ["", "caches"])
      expect(cacheDirectory({ platform: "linux", env: { XDG_CACHE_HOME: invalid }, home })).to.equal(
        join(home, ".cache", "dstack-toolkit"),
      );
  });
});
