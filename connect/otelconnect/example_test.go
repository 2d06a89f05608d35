package otelconnect_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/otelconnect"
)

func ExampleInstrument() {
	conn, err := connect.Open("redis://localhost")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	telemetry, err := otelconnect.Instrument(conn,
		otelconnect.WithTracerProvider(trace.NewTracerProvider()), // with your exporter
		otelconnect.WithMeterProvider(metric.NewMeterProvider()),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer telemetry.Close()
	// Output:
}
