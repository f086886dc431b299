// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

library TcbStatus {
    bytes8 private constant UP_TO_DATE = "UpToDate";

    /// @dev Byte-exact: other case, padding or an empty string is not up to date. The cast to bytes8 cuts longer texts
    /// and fills shorter ones with zeros, which the length check makes harmless.
    function isUpToDate(string calldata status) internal pure returns (bool) {
        bytes calldata text = bytes(status);
        // forge-lint: disable-next-line(unsafe-typecast)
        return text.length == 8 && bytes8(text) == UP_TO_DATE;
    }
}
