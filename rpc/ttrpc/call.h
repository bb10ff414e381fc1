// What calls are made of, on both sides: payloads, contexts, limits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace coffer::rpc {

// Keys in lower case; several values by repetition.
using Metadata = std::vector<std::pair<std::string, std::string>>;
// The first value of `key`.
[[nodiscard]] std::optional<std::string_view> find_metadata(const Metadata& metadata,
                                                            std::string_view key);

// A serialized message: a part of the frame it came in, which it owns, so that nothing is copied.
class Payload {
 public:
  Payload() = default;
  explicit Payload(std::string whole) : storage_(std::move(whole)), size_(storage_.size()) {}
  // [offset, offset + size) must lie within storage.
  Payload(std::string storage, std::size_t offset, std::size_t size)
      : storage_(std::move(storage)), offset_(offset), size_(size) {}

  // Valid until the payload is moved from or dies.
  [[nodiscard]] std::string_view view() const {
    return std::string_view(storage_).substr(offset_, size_);
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::string str() &&;

 private:
  std::string storage_;
  std::size_t offset_ = 0;
  std::size_t size_ = 0;
};

struct CallContext {
  std::string service;  // "grpc.AgentService"
  std::string method;   // "CreateContainer"
  Metadata metadata;
  std::optional<std::chrono::steady_clock::time_point> deadline;
  std::uint32_t stream_id = 0;
  std::uint64_t connection_id = 0;  // of this server, from 1; 0 outside one
};

struct CallOptions {
  // No aggregate: gcc 12 miscompiles one made within a co_await expression.
  CallOptions() = default;
  explicit CallOptions(std::chrono::nanoseconds time, Metadata data = {})
      : timeout(time), metadata(std::move(data)) {}

  std::chrono::nanoseconds timeout{0};  // 0: none
  Metadata metadata = {};
};

// ttrpc's own limit on a frame's payload (4 MiB), both ways.
inline constexpr std::uint32_t kMaxPayload = std::uint32_t{4} << 20U;

struct Limits {
  std::uint32_t max_payload = kMaxPayload;
  // Calls of one connection that are being served; the next is answered ResourceExhausted.
  std::size_t max_calls = 4096;
  // Their payloads together, likewise.
  std::size_t max_call_bytes = std::size_t{64} << 20U;
  // Bytes queued for writing; whoever wants to send more waits.
  std::size_t max_queued_bytes = std::size_t{8} << 20U;
  // Messages of one stream that its reader has not taken yet.
  std::size_t stream_queue = 64;
  // How long a full stream may hold up its connection before the stream fails.
  std::chrono::milliseconds stream_stall{1000};
  std::size_t max_connections = 256;
};

// A longer timeout counts as none.
inline constexpr std::chrono::nanoseconds kLongestTimeout = std::chrono::hours(24 * 365 * 100);

}  // namespace coffer::rpc
