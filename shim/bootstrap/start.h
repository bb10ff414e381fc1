// `start`: makes the listening socket, leaves a server behind, and tells containerd the address.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "shim/bootstrap/options.h"

namespace coffer::shim {

// How the answer is written: containerd 1.6 takes the bare address, later ones JSON.
enum class AnswerForm { kBareAddress, kJsonVersion3 };

struct StartRequest {
  AnswerForm form = AnswerForm::kBareAddress;
  std::string socket_dir;
};

// `input` is what came on stdin: an Any with the runtime's options (which `start` does not need),
// a BootstrapParams (containerd 2.3 and later; recognised by its id and namespace), or nothing.
// `has_grpc_address`: GRPC_ADDRESS stands in the environment, which containerd sets since 1.7.
[[nodiscard]] StartRequest read_start_request(std::string_view input, const ShimOptions& options,
                                              bool has_grpc_address);

[[nodiscard]] std::string format_answer(AnswerForm form, std::string_view address);

// Works in the current directory, which is the bundle: reads config.json, writes 'address' and
// 'shim.pid'. Returns what goes to stdout. A container of a pod gets the address of its sandbox's
// shim: kUnavailable when that one is gone.
[[nodiscard]] Result<std::string> start(const ShimOptions& options);

}  // namespace coffer::shim
