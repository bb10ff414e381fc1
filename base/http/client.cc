#include "base/http/client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coffer::http {
namespace {

constexpr std::size_t kMaxHeaderBytes = std::size_t{64} << 10U;

struct SlistDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct EasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;

// libcurl wants it once a process, before any other call.
bool curl_is_ready() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// What one transfer fills.
struct Transfer {
  Response response;
  std::size_t max_body = 0;
  std::size_t header_bytes = 0;
  bool too_large = false;
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count;
  if (bytes > transfer.max_body - transfer.response.body.size()) {
    transfer.too_large = true;
    return 0;
  }
  transfer.response.body.append(data, bytes);
  return bytes;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count;
  transfer.header_bytes += bytes;
  if (transfer.header_bytes > kMaxHeaderBytes) {
    transfer.too_large = true;
    return 0;
  }
  const std::string_view line(data, bytes);
  // A new status line: what came before was interim ("100 Continue").
  if (line.starts_with("HTTP/")) transfer.response.headers.clear();
  const auto colon = line.find(':');
  if (colon != std::string_view::npos) {
    transfer.response.headers.emplace_back(lower(trim(line.substr(0, colon))),
                                           std::string(trim(line.substr(colon + 1))));
  }
  return bytes;
}

Code code_of(CURLcode code) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return Code::kInvalidArgument;
    case CURLE_OPERATION_TIMEDOUT:
      return Code::kDeadlineExceeded;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
      return Code::kUnauthenticated;
    default:
      return Code::kUnavailable;
  }
}

std::string_view hint_of(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
      return " (the server's certificate is not one that the given CA vouches for)";
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return " (the server's key is not the pinned one: another server, or its key was changed)";
    case CURLE_SSL_CACERT_BADFILE:
      return " (the given CA is no PEM certificate)";
    default:
      return "";
  }
}

}  // namespace

std::optional<std::string_view> Response::header(std::string_view name) const {
  const auto at = std::find_if(headers.begin(), headers.end(),
                               [&](const auto& header) { return header.first == name; });
  if (at == headers.end()) return std::nullopt;
  return at->second;
}

struct Client::State {
  Settings settings;
  Easy handle;
  std::array<char, CURL_ERROR_SIZE> reason{};

  // False when libcurl lacks an option that we rely on.
  [[nodiscard]] bool set_up();
  [[nodiscard]] bool set_trust();
  [[nodiscard]] bool set_request(const Request& request, curl_slist* headers, Transfer& transfer);
  template <typename T>
  [[nodiscard]] bool set(CURLoption option, T value) {
    return curl_easy_setopt(handle.get(), option, value) == CURLE_OK;
  }
};

bool Client::State::set_trust() {
  const auto& tls = settings.tls;
  bool good = set(CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  if (!tls.ca_pem.empty()) {
    curl_blob blob{.data = settings.tls.ca_pem.data(),
                   .len = settings.tls.ca_pem.size(),
                   .flags = CURL_BLOB_COPY};
    good = good && set(CURLOPT_CAINFO_BLOB, &blob) && set(CURLOPT_CAPATH, nullptr);
  } else if (!tls.pin.empty()) {
    good = good && set(CURLOPT_SSL_VERIFYPEER, 0L) && set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!tls.pin.empty()) {
    const std::string pin = "sha256//" + tls.pin;
    good = good && set(CURLOPT_PINNEDPUBLICKEY, pin.c_str());
  }
  return good;
}

bool Client::State::set_up() {
  bool good = set(CURLOPT_NOSIGNAL, 1L) && set(CURLOPT_PROTOCOLS_STR, "http,https") &&
              set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1}) &&
              set(CURLOPT_SOCKS5_AUTH, static_cast<unsigned long>(CURLAUTH_BASIC)) &&
              set(CURLOPT_FOLLOWLOCATION, 0L) && set(CURLOPT_COOKIEFILE, "") &&
              set(CURLOPT_ERRORBUFFER, reason.data()) && set(CURLOPT_WRITEFUNCTION, on_body) &&
              set(CURLOPT_HEADERFUNCTION, on_header) &&
              set(CURLOPT_USERAGENT, settings.user_agent.c_str()) &&
              set(CURLOPT_TIMEOUT_MS, long{settings.timeout.count()}) &&
              set(CURLOPT_CONNECTTIMEOUT_MS, long{settings.connect_timeout.count()});
  if (!settings.proxy_from_environment || !settings.proxy.empty()) {
    good = good && set(CURLOPT_PROXY, settings.proxy.c_str());
  }
  return good && set_trust();
}

bool Client::State::set_request(const Request& request, curl_slist* headers, Transfer& transfer) {
  bool good = set(CURLOPT_URL, request.url.c_str()) && set(CURLOPT_HTTPHEADER, headers) &&
              set(CURLOPT_WRITEDATA, &transfer) && set(CURLOPT_HEADERDATA, &transfer);
  if (request.method == "GET") {
    return good && set(CURLOPT_HTTPGET, 1L) && set(CURLOPT_CUSTOMREQUEST, nullptr);
  }
  // The body must be there before POST is chosen, or libcurl reads it from a callback.
  return good && set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size())) &&
         set(CURLOPT_POSTFIELDS, request.body.data()) && set(CURLOPT_POST, 1L) &&
         set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::make(Settings settings) {
  if (!curl_is_ready()) return fail(Code::kInternal, "make HTTP client: libcurl does not start");
  auto state = std::make_unique<State>();
  state->settings = std::move(settings);
  state->handle.reset(curl_easy_init());
  if (!state->handle || !state->set_up()) {
    return fail(Code::kInternal, "make HTTP client: libcurl lacks an option that is needed");
  }
  return Client(std::move(state));
}

void Client::forget_cookies() { curl_easy_setopt(state_->handle.get(), CURLOPT_COOKIELIST, "ALL"); }

Result<Response> Client::send(const Request& request) {
  std::unique_ptr<curl_slist, SlistDeleter> headers;
  // libcurl would wait a second for "100 Continue" before it sends a large body.
  Headers all = request.headers;
  all.emplace_back("Expect", "");
  for (const auto& [name, value] : all) {
    const std::string line = name + (value.empty() ? ":" : ": ") + value;
    if (line.find_first_of("\r\n") != std::string::npos) {
      return fail(Code::kInvalidArgument, fmt::format("send HTTP header '{}': line break", name));
    }
    curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
    if (longer == nullptr) return fail(Code::kResourceExhausted, "send HTTP request: no memory");
    (void)headers.release();
    headers.reset(longer);
  }
  Transfer transfer;
  transfer.max_body = state_->settings.max_body;
  state_->reason[0] = '\0';
  const auto what = fmt::format("{} {}", request.method, request.url);
  if (!state_->set_request(request, headers.get(), transfer)) {
    return fail(Code::kInternal, fmt::format("{}: libcurl refuses the request", what));
  }
  const CURLcode code = curl_easy_perform(state_->handle.get());
  if (transfer.too_large) {
    return fail(Code::kResourceExhausted,
                fmt::format("{}: the reply is larger than {} bytes", what, transfer.max_body));
  }
  if (code != CURLE_OK) {
    const std::string_view reason =
        state_->reason[0] != '\0' ? state_->reason.data() : curl_easy_strerror(code);
    return fail(code_of(code), fmt::format("{}: {}{}", what, trim(reason), hint_of(code)));
  }
  curl_easy_getinfo(state_->handle.get(), CURLINFO_RESPONSE_CODE, &transfer.response.status);
  return std::move(transfer.response);
}

}  // namespace coffer::http
