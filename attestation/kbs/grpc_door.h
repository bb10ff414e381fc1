// Where the attestation service's port accepts connections. gRPC has no bound on how many there
// are, so they are let in here, and handed to it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace coffer::kbs {

struct DoorSettings {
  std::string socket;                  // "127.0.0.1:50004"; port 0: any
  std::size_t max_connections = 4096;  // 0: no limit
  std::size_t max_per_address = 1024;  // 0: no limit
  std::function<void(std::string_view reason)> on_refused = nullptr;  // from the door's thread
};

class GrpcDoor {
 public:
  // Takes a connected socket, non-blocking, and must shut it down, as gRPC does, before it closes
  // it: that is how the door learns that a place is free. Called from the door's thread.
  using Hand = std::function<void(int listener, Fd connection)>;

  // Listens; lets in from serve() on, on a thread of its own, until it dies. kUnavailable when the
  // address cannot be had, kInvalidArgument when it is none.
  [[nodiscard]] static Result<std::unique_ptr<GrpcDoor>> listen(DoorSettings settings);
  virtual ~GrpcDoor() = default;
  [[nodiscard]] virtual std::string address() const = 0;  // with the port that was chosen
  virtual void serve(Hand hand) = 0;
};

}  // namespace coffer::kbs
