// The messages of Intel's quote generation service, which turns a TDREPORT into a quote: for guests
// whose kernel has no configfs-tsm, over vsock.
//
// Protocol: Intel DCAP qgs_msg_lib, version 1.0: header {u16 major, u16 minor, u32 type, u32 size,
// u32 error}, little endian; on a stream each message has its size before it, 4 bytes big endian.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::tdx {

// A get-quote request with its length prefix. `td_report`: 1024 bytes.
[[nodiscard]] Bytes qgs_request(BytesView td_report);

// Size of the message that a 4-byte prefix announces; kInvalidArgument when it is shorter than a
// header or longer than 1 MiB.
[[nodiscard]] Result<std::size_t> qgs_message_size(BytesView prefix);

// The quote in a response without its prefix. kUnavailable when the service says that it cannot
// serve now; kInvalidArgument when the message is malformed or answers something else.
[[nodiscard]] Result<Bytes> qgs_response(BytesView message);

}  // namespace coffer::tdx
