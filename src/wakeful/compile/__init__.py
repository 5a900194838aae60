"""What checks become for the tools that a team runs already: rules, routes and dashboards."""
