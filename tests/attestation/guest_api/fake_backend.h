// A backend that remembers what it was asked for.
#pragma once

#include <optional>
#include <string>

#include "attestation/guest_api/access.h"
#include "attestation/guest_api/backend.h"

namespace coffer::guest_api {

inline Task<Status> allow_all(Access) { co_return Status{}; }

class FakeBackend final : public Backend {
 public:
  Task<Result<SecretBytes>> resource(protocol::ResourceUri uri) override {
    asked = uri.request_path();
    if (error) co_return fail(*error);
    co_return SecretBytes(to_bytes(std::string_view("a\0b", 3)));
  }
  Task<Result<SecretBytes>> unseal(std::string sealed) override {
    asked = sealed;
    if (error) co_return fail(*error);
    co_return SecretBytes(to_bytes("opened"));
  }
  Task<Result<SecretBytes>> token(std::string type) override {
    asked = type;
    co_return SecretBytes(to_bytes("{}"));
  }
  Task<Result<std::string>> evidence(Bytes runtime_data) override {
    asked = to_hex(runtime_data);
    co_return std::string("{\"e\":1}");
  }
  Task<Status> extend(RuntimeEvent event) override {
    asked = event.domain + "|" + event.operation + "|" + event.content;
    if (error) co_return fail(*error);
    co_return Status{};
  }
  [[nodiscard]] std::string tee() const override { return "snp"; }

  std::string asked;
  std::optional<Error> error;
};

}  // namespace coffer::guest_api
