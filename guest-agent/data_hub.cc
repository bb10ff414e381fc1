#include "guest-agent/data_hub.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "rpc/protos/confidential_data_hub.pb.h"
#include "rpc/ttrpc/client.h"
#include "rpc/ttrpc/typed.h"

namespace coffer::agent {
namespace {

Result<Fd> connect_to(const std::filesystem::path& socket) {
  const auto what = fmt::format("connect to the confidential data hub '{}'", socket.string());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto& path = socket.native();
  if (path.size() >= sizeof(address.sun_path))
    return fail(Code::kInvalidArgument, what + ": path too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // SAFETY: sockaddr_un is AF_UNIX's sockaddr.
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (!fd.valid() || ::connect(fd.get(), generic, sizeof(address)) != 0)
    return fail_errno(errno, what);
  return fd;
}

}  // namespace

Task<Result<SecretBytes>> ask_unseal(DataHubSettings settings, std::string sealed) {
  const auto executor = co_await asio::this_coro::executor;
  COFFER_CO_TRY(Fd connected, connect_to(settings.socket));
  rpc::Client client(executor, std::move(connected));
  api::UnsealSecretInput request;
  request.set_secret(std::move(sealed));
  const rpc::CallOptions options(settings.timeout);
  auto answer = co_await rpc::call<api::UnsealSecretOutput>(client, "api.SealedSecretService",
                                                            "UnsealSecret", request, options);
  if (!answer) co_return fail(std::move(answer).error());
  SecretBytes secret(to_bytes(answer->plaintext()));
  wipe(*answer->mutable_plaintext());
  co_return secret;
}

}  // namespace coffer::agent
