// cri_client: one call of the Container Runtime Interface, in JSON.
//
//   cri_client SOCKET SERVICE/METHOD [TIMEOUT-SECONDS] < request.json > response.json
//
// Any method of tests/e2e/cri.proto: types are looked up by the method's name. Exit 0 with the
// response on standard output; 1 with "CODE: message" on standard error when the server refuses.

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include "cri.pb.h"

namespace {

constexpr int kDefaultTimeout = 120;

struct Call {
  std::string socket, service, method;
  int timeout = kDefaultTimeout;
};

bool parse(int argc, char** argv, Call& call) {
  if (argc < 3) return false;
  call.socket = argv[1];
  const std::string_view target = argv[2];
  const auto slash = target.find('/');
  if (slash == std::string_view::npos) return false;
  call.service = std::string("runtime.v1.") + std::string(target.substr(0, slash));
  call.method = target.substr(slash + 1);
  if (argc == 3) return true;
  const std::string_view text = argv[3];
  return std::from_chars(text.data(), text.data() + text.size(), call.timeout).ec == std::errc();
}

std::unique_ptr<google::protobuf::Message> make(const google::protobuf::Descriptor* type) {
  const auto* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
  return std::unique_ptr<google::protobuf::Message>(prototype->New());
}

// A call by name with serialized messages, waited for.
grpc::Status invoke(const Call& call, const std::string& request, std::string& response) {
  const auto channel =
      grpc::CreateChannel("unix://" + call.socket, grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(call.timeout));
  grpc::CompletionQueue queue;
  const grpc::Slice slice(request);
  const grpc::ByteBuffer sent(&slice, 1);
  const auto rpc =
      stub.PrepareUnaryCall(&context, "/" + call.service + "/" + call.method, sent, &queue);
  grpc::ByteBuffer received;
  grpc::Status status;
  rpc->StartCall();
  rpc->Finish(&received, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  if (!queue.Next(&tag, &ok)) return {grpc::StatusCode::INTERNAL, "the queue was shut down"};
  if (!status.ok()) return status;
  grpc::Slice whole;
  if (auto dumped = received.DumpToSingleSlice(&whole); !dumped.ok()) return dumped;
  response.assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
  return status;
}

int run(const Call& call) {
  const auto* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(call.service);
  const auto* method = service == nullptr ? nullptr : service->FindMethodByName(call.method);
  if (method == nullptr) {
    fmt::print(stderr, "cri_client: {}/{}: no such method\n", call.service, call.method);
    return 2;
  }
  const std::string json(std::istreambuf_iterator<char>(std::cin), {});
  const auto request = make(method->input_type());
  const auto parsed = google::protobuf::util::JsonStringToMessage(json, request.get());
  if (!parsed.ok()) {
    fmt::print(stderr, "cri_client: read the request: {}\n", parsed.ToString());
    return 2;
  }
  std::string bytes;
  const auto status = invoke(call, request->SerializeAsString(), bytes);
  if (!status.ok()) {
    fmt::print(stderr, "{}: {}\n", static_cast<int>(status.error_code()), status.error_message());
    return 1;
  }
  const auto response = make(method->output_type());
  if (!response->ParseFromString(bytes)) {
    fmt::print(stderr, "cri_client: read the response: not a {}\n",
               method->output_type()->full_name());
    return 2;
  }
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string out;
  if (!google::protobuf::util::MessageToJsonString(*response, &out, options).ok()) return 2;
  fmt::print("{}\n", out);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  google::protobuf::LinkMessageReflection<runtime::v1::Nothing>();
  Call call;
  if (!parse(argc, argv, call)) {
    fmt::print(stderr, "usage: cri_client SOCKET SERVICE/METHOD [TIMEOUT-SECONDS]\n");
    return 2;
  }
  return run(call);
}
