// The guest machine itself: clock, entropy, CPUs and memory.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/loop.h"

namespace coffer::agent {

[[nodiscard]] Status set_clock(std::int64_t seconds, std::int64_t microseconds);
// Mixes `data` into the kernel's pool. Not credited as entropy: it comes from the host. Then has
// the kernel reseed its generator at once.
[[nodiscard]] Status reseed_random(std::string_view data);
// Waits until `count` CPUs are online; 0 leaves the CPUs alone. `memory` also brings every memory
// block online.
[[nodiscard]] Task<Status> online_resources(std::uint32_t count, bool memory);
[[nodiscard]] Status probe_memory(std::span<const std::uint64_t> addresses);
// Bytes; 0 when the kernel has no hot-pluggable memory blocks.
[[nodiscard]] std::uint64_t memory_block_size();
[[nodiscard]] bool can_probe_memory();

}  // namespace coffer::agent
